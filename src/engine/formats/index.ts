export { parseSafetensorsHeader, readTensor } from "./safetensors.ts";
export type { SafetensorsHeader, TensorInfo, TensorValues } from "./safetensors.ts";
