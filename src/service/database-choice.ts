/**
 * Which checksum databases there are: the one that proves modules, the official one, which always proves toolchains,
 * and those that are only passed through. The configuration goes before GOSUMDB.
 * @see https://go.dev/ref/mod#environment-variables
 */

import { parseChecksumDatabase, type SumdbEntry } from '../config/shapes.ts';
import type { Config } from '../config/snapshot.ts';
import { ModferryError } from '../lib/errors.ts';
import { chinaName, officialKey, officialName, officialUrls } from '../sumdb/official.ts';

export interface ChosenDatabase {
  readonly name: string;
  /** Undefined: passed through as it comes. */
  readonly verifierKey: string | undefined;
  /** Asked after the upstreams, in this order. */
  readonly urls: readonly string[];
}

export interface DatabaseChoice {
  /** Each name once; the official one is always there. */
  readonly databases: readonly ChosenDatabase[];
  /** Name of the one that proves modules; undefined: switched off. */
  readonly proving: string | undefined;
  readonly warnings: readonly string[];
}

const official: ChosenDatabase = { name: officialName, verifierKey: officialKey, urls: officialUrls };

/**
 * `gosumdb`: what this machine's Go settings say, `off` only from the process's own environment. Throws ModferryError
 * `bad_gosumdb` when GOSUMDB names a database that nothing can be proven by: `go` refuses it too.
 */
export function chooseDatabases(
  config: Pick<Config, 'checksums' | 'sumdbs'>,
  gosumdb: string | undefined,
): DatabaseChoice {
  const byName = new Map<string, ChosenDatabase>([[officialName, official]]);
  const { database } = config.checksums;
  const chosen = database ?? fromMachine(gosumdb);
  const proving = chosen === 'off' ? undefined : toChosen(chosen);
  if (proving !== undefined) byName.set(proving.name, proving);
  const warnings = warningsFor(config, chosen, database);
  for (const entry of config.sumdbs) {
    const passed = toChosen(entry);
    const known = byName.get(passed.name);
    if (entry.verifierKey !== undefined && (known?.verifierKey ?? entry.verifierKey) !== entry.verifierKey) {
      warnings.push(
        `sumdb: ${passed.name} has another key than the one known here, which stays; checksums.database chooses a key`,
      );
    }
    byName.set(passed.name, {
      name: passed.name,
      // What proves here is not for a list of passed-through databases to say.
      verifierKey: known?.verifierKey ?? passed.verifierKey,
      urls: entry.urls.length > 0 ? entry.urls : (known?.urls ?? passed.urls),
    });
  }
  return {
    databases: [...byName.values()],
    proving: proving?.name,
    warnings,
  };
}

function fromMachine(gosumdb: string | undefined): SumdbEntry | 'off' {
  const text = gosumdb?.trim() ?? '';
  if (text === '') return { name: officialName, verifierKey: undefined, urls: [] };
  const parsed = parseChecksumDatabase(text);
  if ('value' in parsed) return parsed.value;
  throw new ModferryError(
    'bad_gosumdb',
    `GOSUMDB=${text.slice(0, 200)} ${parsed.wrong}; ${parsed.right ?? 'correct it'}, or set checksums.database in the configuration`,
  );
}

function toChosen({ name, verifierKey, urls }: SumdbEntry): ChosenDatabase {
  if (name === chinaName && verifierKey === undefined) {
    return { ...official, urls: urls.length > 0 ? urls : [`https://${chinaName}`] };
  }
  if (name === officialName) {
    return { name, verifierKey: verifierKey ?? officialKey, urls: urls.length > 0 ? urls : officialUrls };
  }
  return { name, verifierKey, urls: urls.length > 0 ? urls : [`https://${name}`] };
}

function warningsFor(
  config: Pick<Config, 'checksums'>,
  chosen: SumdbEntry | 'off',
  configured: Config['checksums']['database'],
): string[] {
  if (chosen === 'off') {
    const where = configured === undefined ? 'GOSUMDB=off' : 'checksums.database: off';
    return [
      `${where}: what mirrors send is published unproven; only toolchains and trusted go.sum lines are checked`,
    ];
  }
  if (config.checksums.mode === 'off') {
    return ['checksums.mode: off: what mirrors send is published unproven'];
  }
  return [];
}
