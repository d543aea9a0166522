/** Which module is proven how, by the configuration and the machine's patterns. */
import { toolchainPath } from '../checksums/checksums.ts';
import { checksumModes as allModes, type ChecksumMode } from '../checksums/types.ts';
import type { Config } from '../config/snapshot.ts';
import { compilePatterns } from '../gomod/module-pattern.ts';
import type { RouteTable } from '../route/types.ts';

export interface ChecksumModes {
  mode(path: string): ChecksumMode;
  /** Its name is never told to a checksum database, whoever asks: private, GONOSUMDB, `checksums.off`. */
  isOutside(path: string): boolean;
}

/** `noSumdbPatterns`: the machine's GONOSUMDB. Neither it nor a private route is overridden by anything. */
export function checksumModes(
  config: Config['checksums'],
  noSumdbPatterns: readonly string[],
  routes: Pick<RouteTable, 'of'>,
): ChecksumModes {
  const isNoSumdb = compilePatterns(noSumdbPatterns.join(','));
  const isUnknown = (path: string) => isNoSumdb(path) || routes.of(path).isPrivate;
  const lists = allModes.map((mode) => ({
    mode,
    matches: compilePatterns(config[mode].join(',')),
  }));
  const listed = (path: string) =>
    routes.of(path).checksums ?? lists.find(({ matches }) => matches(path))?.mode;
  return {
    mode: (path) => (isUnknown(path) ? 'off' : (listed(path) ?? config.mode)),
    // Toolchains are looked up by every go, whatever its GONOSUMDB says.
    isOutside: (path) => path !== toolchainPath && (isUnknown(path) || listed(path) === 'off'),
  };
}
