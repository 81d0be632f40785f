export { sqliteFile } from "./addresses.ts";
export { loadCertificate, watchCertificate } from "./certificate.ts";
export type { Certificate } from "./certificate.ts";
export {
  checkConfiguration,
  findDataDirectory,
  loadConfiguration,
  processEnvironment,
} from "./configuration.ts";
export type { Configuration } from "./configuration.ts";
export type { ConfigurationSources } from "./layers.ts";
export { findPackage } from "./package-folder.ts";
export { renderConfigurationReference } from "./reference.ts";
export type { Config } from "./settings.ts";
export type { SettingsList } from "./show-settings.ts";
export { parseHeaderList, tracesAddress } from "./trace-export.ts";
