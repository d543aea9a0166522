/** Numbers for people, in the details of the figures. */
import { median } from './stats.ts';

/** `2.13 s`. */
export function secondsText(values: readonly number[]): string {
  return `${median(values).toFixed(2)} s`;
}

/** `48.1 k/s`. */
export function rateText(values: readonly number[]): string {
  return `${(median(values) / 1000).toFixed(1)} k/s`;
}

/** `2710 MB/s`. */
export function bandwidthText(values: readonly number[]): string {
  return `${(median(values) / 1e6).toFixed(0)} MB/s`;
}

/** `20.3 MB`. */
export function megabytesText(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function mebibytes(bytes: number): number {
  return bytes / 1024 ** 2;
}

/** `21.4 µs`. */
export function microsecondsText(values: readonly number[]): string {
  return `${median(values).toFixed(1)} µs`;
}
