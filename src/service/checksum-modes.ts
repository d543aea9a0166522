/** Which module is proven how, by the configuration and the machine's patterns. */
import { toolchainPath } from '../checksums/checksums.ts';
import { checksumModes as allModes, type ChecksumMode } from '../checksums/types.ts';
import type { Config } from '../config/snapshot.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';

export interface ChecksumModes {
  mode(path: string): ChecksumMode;
  /** Its name is never told to a checksum database, whoever asks: private, GONOSUMDB, `checksums.off`. */
  isOutside(path: string): boolean;
}

/** `noSumdbPatterns`: private modules and the machine's GONOSUMDB, which nothing overrides. */
export function checksumModes(
  config: Config['checksums'],
  noSumdbPatterns: readonly string[],
): ChecksumModes {
  const isUnknown = compilePatterns(noSumdbPatterns.join(','));
  const lists = allModes.map((mode) => ({
    mode,
    matches: compilePatterns(config[mode].join(',')),
  }));
  const listed = (path: string) => lists.find(({ matches }) => matches(path))?.mode;
  return {
    mode: (path) => (isUnknown(path) ? 'off' : (listed(path) ?? config.mode)),
    // Toolchains are looked up by every go, whatever its GONOSUMDB says.
    isOutside: (path) => path !== toolchainPath && (isUnknown(path) || listed(path) === 'off'),
  };
}
