export { sqliteFile } from "./addresses.ts";
export { checkConfiguration, loadConfiguration, processEnvironment } from "./configuration.ts";
export type { Configuration } from "./configuration.ts";
export type { ConfigurationFault, FaultCode } from "./faults.ts";
export type { ConfigurationSources, Origin } from "./layers.ts";
export { findPackage } from "./package-folder.ts";
export { renderConfigurationReference } from "./reference.ts";
export type { Config } from "./settings.ts";
export type { SettingsList, ShownSetting } from "./show-settings.ts";
