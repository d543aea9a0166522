/** Which private names the home page tells, for the settings that it shows: those of whom one of us may know. */
import type { Access, Asker } from '../access/types.ts';
import type { RouteTable } from '../route/types.ts';

const maxCheckMs = 5_000;

/** All of them for whoever is known here; for others those of routes that everybody may read. Never rejects. */
export async function shownPatterns(
  { routes }: RouteTable,
  asker: Asker,
  access: Pick<Access, 'identify'>,
): Promise<readonly string[]> {
  const own = routes.filter(({ isPrivate }) => isPrivate);
  const open = own.filter((route) => route.access.read.some(({ kind }) => kind === 'anonymous'));
  const isAll = open.length === own.length || (await isKnown(asker, access));
  return [...new Set((isAll ? own : open).flatMap(({ patterns }) => patterns))];
}

async function isKnown(asker: Asker, access: Pick<Access, 'identify'>): Promise<boolean> {
  if (asker.authorization === undefined && asker.certificate === undefined) return false;
  try {
    // The page is not kept back for a directory that does not answer.
    return (await access.identify(asker, AbortSignal.timeout(maxCheckMs))).allowed;
  } catch {
    return false;
  }
}
