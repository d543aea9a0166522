/**
 * Zero configuration (ruling 21): which upstreams to use when the configuration names none, from the environment,
 * the answers of `go env`, and the list that worked last time. Pure: whoever calls it has asked and read already.
 */
import { messageOf } from '../lib/errors.ts';
import { bareHost, isLoopbackHost } from '../outbound/network-address.ts';
import type { UpstreamAuth } from './credentials.ts';
import {
  type GoproxyEnd,
  type GoproxyEntry,
  GoproxyError,
  type GoproxyList,
  parseGoproxy,
  parseUpstreamUrl,
  type Separator,
  stopsOnError,
} from './goproxy-list.ts';

/** Asked in this order when the machine names no server of its own. */
export const fallbackMirrors: readonly string[] = ['https://goproxy.cn', 'https://goproxy.io'];

/** What `go env -json …` and `go env -changed -json` said. */
export interface GoEnv {
  readonly values: Readonly<Record<string, string>>;
  /** Undefined where this Go has no `-changed` (before 1.23). */
  readonly changed: Readonly<Record<string, string>> | undefined;
}

/** Where modferry itself listens. */
export interface OwnAddress {
  /** Empty, `0.0.0.0` and `::` mean every address of the machine. */
  readonly host: string;
  readonly port: number;
  /** '' or `/a/b`. */
  readonly pathPrefix: string;
}

/** The part of a decision that is kept in the data folder. Never holds credentials. */
export interface SavedUpstreams {
  readonly entries: readonly {
    readonly url: string;
    readonly separatorAfter?: Separator;
    readonly stopsOnError: boolean;
  }[];
  readonly end: GoproxyEnd;
}

export interface DecidedEntry {
  readonly url: string;
  readonly separatorAfter: Separator | undefined;
  readonly stopsOnError: boolean;
  readonly auth?: UpstreamAuth;
}

export interface UpstreamDecision {
  readonly entries: readonly DecidedEntry[];
  readonly end: GoproxyEnd;
  /** Patterns of GOPRIVATE and GONOPROXY: never sent to an upstream that is not declared private (ruling 3). */
  readonly privatePatterns: readonly string[];
  /** Patterns of GONOSUMDB (which is GOPRIVATE by default). */
  readonly noSumdbPatterns: readonly string[];
  readonly insecurePatterns: readonly string[];
  /** GOSUMDB to use; `off` only from the process's own environment (ruling 22). Undefined: the default database. */
  readonly sumdb: string | undefined;
  readonly warnings: readonly string[];
  /** `go default`: nobody chose it; the fallback mirrors stand behind it. */
  readonly origin: 'environment' | 'go env' | 'go default' | 'last good' | 'fallback';
}

export interface DecideInput {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined: no Go on this machine, or it did not answer. */
  readonly goEnv: GoEnv | undefined;
  readonly ownAddresses: readonly OwnAddress[];
  /** The machine's names and addresses besides loopback. */
  readonly machineNames?: readonly string[];
  readonly lastGood: SavedUpstreams | undefined;
  /** True when `.netrc` has credentials for this host name. */
  readonly hasCredentials?: (hostname: string) => boolean;
}

/** Never throws: what cannot be used is dropped with a warning. */
export function decideUpstreams(input: DecideInput): UpstreamDecision {
  const warnings: string[] = [];
  const choice = chosenValue(input);
  const list = choice === undefined ? emptyList : parseLeniently(choice.value, warnings);
  const kept = list.entries.filter((entry) => !isOwn(entry.url, input));
  const dropped = list.entries.length - kept.length;
  if (dropped > 0) {
    warnings.push(
      `GOPROXY names this very server (${list.entries
        .filter((entry) => isOwn(entry.url, input))
        .map((entry) => entry.url)
        .join(', ')}); it was left out of the upstreams`,
    );
  }
  const shared = { ...patternsOf(input), warnings };
  const decided = kept.map((entry) => decide(entry, input));

  if (choice?.origin === 'go default') {
    const missing = fallbackMirrors.filter((url) => !decided.some((entry) => entry.url === url));
    return {
      ...shared,
      entries: [...decided, ...missing.map(publicEntry)],
      end: list.end,
      origin: 'go default',
    };
  }
  if (decided.length > 0 && choice !== undefined) {
    return { ...shared, entries: decided, end: list.end, origin: choice.origin };
  }
  // A list without servers that does not name us is a decision: public mirrors were not asked for.
  if (choice !== undefined && dropped === 0 && list.end !== 'none') {
    warnings.push(
      `GOPROXY=${list.end} leaves no server to fetch from: only what is stored is served; name one with --upstream URL`,
    );
    return { ...shared, entries: [], end: list.end, origin: choice.origin };
  }
  const end = list.end === 'off' ? 'none' : list.end;
  const lastGood = input.lastGood?.entries.filter((entry) => !isOwn(entry.url, input)) ?? [];
  if (lastGood.length > 0) {
    const entries = lastGood.map((entry) => ({ ...entry, separatorAfter: entry.separatorAfter }));
    return { ...shared, entries, end: input.lastGood?.end ?? end, origin: 'last good' };
  }
  return { ...shared, entries: fallbackMirrors.map(publicEntry), end, origin: 'fallback' };
}

const emptyList: GoproxyList = { entries: [], end: 'none' };

function chosenValue(
  input: DecideInput,
): { value: string; origin: 'environment' | 'go env' | 'go default' } | undefined {
  const fromEnv = input.env.GOPROXY?.trim();
  if (fromEnv !== undefined && fromEnv !== '') return { value: fromEnv, origin: 'environment' };
  const fromGo = input.goEnv?.values.GOPROXY?.trim();
  if (input.goEnv === undefined || fromGo === undefined || fromGo === '') return undefined;
  // An old Go cannot tell. Taking it as chosen sends nothing to a server that nobody named.
  const isChosen = input.goEnv.changed === undefined || input.goEnv.changed.GOPROXY !== undefined;
  return { value: fromGo, origin: isChosen ? 'go env' : 'go default' };
}

/** Drops single bad entries, so that one `file:` path does not lose the rest of the list. */
function parseLeniently(value: string, warnings: string[]): GoproxyList {
  try {
    return parseGoproxy(value);
  } catch (error) {
    if (!(error instanceof GoproxyError)) throw error;
    warnings.push(`GOPROXY: ${messageOf(error)}`);
  }
  const good: string[] = [];
  for (const [part] of value.matchAll(/[^,|]*[,|]?/g)) {
    if (part === '') continue;
    try {
      parseGoproxy(part);
      good.push(part);
    } catch {
      // Told above; the rest of the list still counts.
    }
  }
  return good.length === 0 ? emptyList : parseGoproxy(good.join(''));
}

function decide(entry: GoproxyEntry, input: DecideInput): DecidedEntry {
  const { hostname } = new URL(entry.url);
  const hasCredentials = entry.auth !== undefined || input.hasCredentials?.(hostname) === true;
  return { ...entry, stopsOnError: stopsOnError(entry, { hasCredentials }) };
}

function publicEntry(url: string): DecidedEntry {
  return { url, separatorAfter: '|', stopsOnError: false };
}

function isOwn(text: string, input: DecideInput): boolean {
  const url = new URL(text);
  const host = bareHost(url.hostname);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  const isMachine =
    isLoopbackHost(host) || (input.machineNames ?? []).some((name) => bareHost(name) === host);
  return input.ownAddresses.some((own) => {
    if (own.port !== port) return false;
    if (!isMachine && bareHost(own.host) !== host && !(everywhere.has(own.host) && everywhere.has(host)))
      return false;
    const path = url.pathname.replace(/\/+$/, '');
    // Under another path of our port nothing of Go's protocol lives; '' is how people forget the prefix.
    return path === '' || path === own.pathPrefix || path.startsWith(`${own.pathPrefix}/`);
  });
}

const everywhere = new Set(['', '0.0.0.0', '::']);

function patternsOf(
  input: DecideInput,
): Pick<UpstreamDecision, 'privatePatterns' | 'noSumdbPatterns' | 'insecurePatterns' | 'sumdb'> {
  const value = (name: string): string => input.goEnv?.values[name] ?? input.env[name] ?? '';
  const ownSumdb = input.env.GOSUMDB?.trim();
  const goSumdb = input.goEnv?.values.GOSUMDB?.trim();
  const sumdb = ownSumdb ? ownSumdb : goSumdb === 'off' || goSumdb === '' ? undefined : goSumdb;
  return {
    privatePatterns: patterns(value('GOPRIVATE'), value('GONOPROXY')),
    noSumdbPatterns: patterns(value('GONOSUMDB') === '' ? value('GOPRIVATE') : value('GONOSUMDB')),
    insecurePatterns: patterns(value('GOINSECURE')),
    sumdb,
  };
}

/** Comma lists joined, without repeats. `none` is how people write "no pattern". */
function patterns(...lists: readonly string[]): string[] {
  const all = lists.flatMap((list) => list.split(',')).map((pattern) => pattern.trim());
  return [...new Set(all)].filter((pattern) => pattern !== '' && pattern !== 'none');
}

/** What to keep of a decision for the next start. */
export function toSaved(decision: Pick<UpstreamDecision, 'entries' | 'end'>): SavedUpstreams {
  return {
    entries: decision.entries.map(({ url, separatorAfter, stopsOnError }) => ({
      url,
      ...(separatorAfter === undefined ? {} : { separatorAfter }),
      stopsOnError,
    })),
    end: decision.end,
  };
}

/** Reads back what `toSaved` made, from parsed JSON. Undefined for anything else: the file may be damaged. */
export function parseSaved(value: unknown): SavedUpstreams | undefined {
  if (!isRecord(value) || !Array.isArray(value.entries)) return undefined;
  if (value.end !== 'direct' && value.end !== 'off' && value.end !== 'none') return undefined;
  const entries: { url: string; separatorAfter?: Separator; stopsOnError: boolean }[] = [];
  for (const entry of value.entries.slice(0, 100) as unknown[]) {
    if (!isRecord(entry) || typeof entry.url !== 'string' || typeof entry.stopsOnError !== 'boolean')
      return undefined;
    try {
      const { url } = parseUpstreamUrl(entry.url);
      const { separatorAfter, stopsOnError } = entry;
      if (separatorAfter === ',' || separatorAfter === '|')
        entries.push({ url, separatorAfter, stopsOnError });
      else entries.push({ url, stopsOnError });
    } catch {
      return undefined;
    }
  }
  return { entries, end: value.end };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
