/**
 * `npm ci` refuses a lock file in which an optional platform package of a dependency is missing, and `npm install`
 * leaves out those that the registry of the machine it runs on does not carry. This puts them back: name, exact
 * version and the platform they are for, so that every platform's `npm ci` works. Run it after each `npm install`;
 * `--check` only says whether it is needed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './steps.ts';

interface LockEntry {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

export type LockPackages = Record<string, LockEntry>;

/** The entries that are missing, by their key. */
export function missingEntries(packages: LockPackages): LockPackages {
  const present = new Set(Object.keys(packages).map((key) => key.slice(key.lastIndexOf('node_modules/'))));
  const missing: LockPackages = {};
  for (const [key, entry] of Object.entries(packages)) {
    if (key === '') continue;
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const wanted = `node_modules/${name}`;
      // A range cannot be locked without asking; platform packages always name one version.
      if (present.has(wanted) || !/^\d+\.\d+\.\d+[\w.-]*$/.test(version)) continue;
      missing[wanted] = {
        version,
        ...(entry.dev === true ? { dev: true } : {}),
        optional: true,
        ...platformOf(name),
      };
    }
  }
  return missing;
}

function platformOf(name: string): Pick<LockEntry, 'os' | 'cpu' | 'libc'> {
  if (name.includes('wasm')) return { cpu: ['wasm32'] };
  const os = /android|darwin|linux|win32|freebsd|openbsd|netbsd|sunos|aix|openharmony/.exec(name)?.[0];
  const cpu = /arm64|x64|ia32|riscv64|ppc64|s390x|loong64|mips64el|arm/.exec(name)?.[0];
  return {
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(os === undefined ? {} : { os: [os] }),
    ...(name.includes('musl') ? { libc: ['musl'] } : {}),
  };
}

if (import.meta.main) {
  const file = join(root, 'package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: LockPackages };
  const missing = missingEntries(lock.packages);
  const names = Object.keys(missing);
  if (process.argv.includes('--check')) {
    if (names.length > 0) {
      process.stderr.write(
        `package-lock.json lacks ${names.length} platform packages; run: node scripts/complete-lock.ts\n`,
      );
      process.exitCode = 1;
    }
  } else {
    const all = Object.entries({ ...lock.packages, ...missing });
    lock.packages = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
    process.stdout.write(`${names.length} platform packages added\n`);
  }
}
