export { parseSafetensorsHeader, readTensor } from "./safetensors.ts";
export type { SafetensorsHeader, TensorValues } from "./safetensors.ts";
