/** Holds the one direction of imports that docs/architecture.md draws. Prints each import that goes against it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { root } from './steps.ts';

/** Folder of src/ → folders it may import besides itself. Test files may import anything. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  gomod: ['lib'],
  zip: ['lib', 'gomod'],
  store: ['lib', 'gomod'],
  audit: ['lib'],
  webhooks: ['lib', 'gomod'],
  outbound: ['lib'],
  access: ['lib', 'gomod', 'outbound'],
  route: ['lib', 'gomod', 'access'],
  upstream: ['lib', 'gomod', 'outbound'],
  vcs: ['lib', 'gomod', 'zip', 'outbound', 'upstream'],
  publish: ['lib', 'gomod', 'zip', 'store', 'upstream'],
  health: ['lib', 'gomod', 'upstream'],
  sumdb: ['lib', 'gomod', 'store', 'upstream'],
  checksums: ['lib', 'gomod', 'store', 'sumdb'],
  ingest: ['lib', 'gomod', 'zip', 'store', 'upstream', 'checksums'],
  scrub: ['lib', 'gomod', 'zip', 'store', 'checksums', 'ingest'],
  proxy: ['lib', 'gomod', 'zip', 'store', 'upstream', 'sumdb', 'ingest'],
  http: [
    'lib',
    'gomod',
    'store',
    'upstream',
    'ingest',
    'proxy',
    'access',
    'audit',
    'publish',
    'route',
    'webhooks',
  ],
  config: ['lib'],
  telemetry: ['lib', 'gomod', 'upstream', 'sumdb', 'checksums', 'health', 'ingest', 'scrub', 'proxy'],
  service: ['*'],
  cli: ['*'],
};

/** Adapters are known to the composition root and the commands only. */
const adapters: Readonly<Record<string, readonly string[]>> = {
  'store/fs': ['store', 'cli', 'service'],
};

export function faultsIn(files: readonly { file: string; text: string }[]): string[] {
  const faults: string[] = [];
  for (const { file, text } of files) {
    if (/\.(test|contract)\.ts$/.test(file) || /\/(test-[a-z]+|crash-child)\.ts$/.test(file)) continue;
    const from = folderOf(file);
    const rules = allowed[from];
    if (rules === undefined) {
      faults.push(`${file}: folder src/${from} is in no rule of scripts/check-borders.ts`);
      continue;
    }
    for (const match of text.matchAll(/\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)/g)) {
      const target = relative('src', join(dirname(file), match[1] ?? match[2] ?? ''))
        .split(sep)
        .join('/');
      if (target.startsWith('..')) {
        if (!target.endsWith('package.json')) faults.push(`${file}: imports ${target} from outside src/`);
        continue;
      }
      const to = folderOf(`src/${target}`);
      if (to !== from && !rules.includes('*') && !rules.includes(to)) {
        faults.push(`${file}: ${from} may not import ${to} (${target})`);
      }
      for (const [adapter, friends] of Object.entries(adapters)) {
        if (target.startsWith(`${adapter}/`) && !friends.includes(from)) {
          faults.push(`${file}: only ${friends.join(', ')} may import the adapter ${adapter}`);
        }
      }
    }
  }
  return faults;
}

function folderOf(file: string): string {
  const parts = file.split('/');
  return parts.length === 2 ? '.' : (parts[1] as string);
}

if (import.meta.main) {
  const files = readdirSync(resolve(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `src/${name.split(sep).join('/')}`)
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));
  const faults = faultsIn(files);
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}
