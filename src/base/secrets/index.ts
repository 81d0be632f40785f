export { openSecretsFile } from "./open-secrets-file.ts";
