/**
 * Writes the files that are made from the configuration schema: docs/configuration.md and modferry.schema.json.
 * With `--check` it writes nothing and ends with 1 when one of them is not what it would write.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { renderJsonSchema } from '../src/config/json-schema.ts';
import { renderReference } from '../src/config/reference.ts';
import { errnoOf } from '../src/lib/errors.ts';

/** `root` is for tests. Default: the repository this script lies in. */
const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, root: { type: 'string' } },
});
const root = values.root ?? join(import.meta.dirname, '..');
const targets = new Map([
  ['docs/configuration.md', renderReference()],
  ['modferry.schema.json', renderJsonSchema()],
]);

for (const [name, text] of targets) {
  const path = join(root, name);
  if ((await readOrEmpty(path)) === text) continue;
  if (values.check) {
    process.stdout.write(`${name} is not up to date; run "npm run generate"\n`);
    process.exitCode = 1;
  } else {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    process.stdout.write(`${name} written\n`);
  }
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
