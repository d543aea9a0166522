/** A checksum database that has everything of a folder in Go's download-cache layout, for the bench. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash1 } from './fake-module.ts';
import { unescapeName } from './go-names.ts';
import { type SumdbLog, startSumdbLog } from './sumdb-log.ts';
import { madeUpH1 } from './sumdb-log-records.ts';

/**
 * Between two records of the folder, so that each stands in a tile of its own: in the real log, too, the modules of
 * one build have nothing to do with each other.
 */
const padding = 300;

/** A version of which only the .mod is there gets a made-up hash for its zip. */
export async function logOf(root: string): Promise<SumdbLog> {
  const log = await startSumdbLog({ name: 'sum.bench.test' });
  const names = await readdir(root, { recursive: true });
  for (const name of names.filter((each) => /(?:^|\/)@v\/[^/]+\.mod$/.test(each)).sort()) {
    const [escapedPath = '', escapedVersion = ''] = name.slice(0, -'.mod'.length).split('/@v/');
    const [path, version] = [unescapeName(escapedPath), unescapeName(escapedVersion)];
    const zipHash = join(root, `${name.slice(0, -'.mod'.length)}.ziphash`);
    const zipH1 = await readFile(zipHash, 'utf8').then(
      (text) => text.trim(),
      () => madeUpH1(`${path} ${version}`),
    );
    log.pad(padding);
    log.add({
      path,
      version,
      zipH1,
      modH1: hash1([{ name: 'go.mod', content: await readFile(join(root, name)) }]),
    });
  }
  return log;
}
