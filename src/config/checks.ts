/**
 * Checks that look at more than one key, and those that need knowledge from outside. They run also when single
 * keys are wrong (those count with their defaults here), so that one `config check` tells everything.
 */
import { accessFaults } from './access-checks.ts';
import type { PathFault } from './fault.ts';
import type { ParsedConfig } from './schema.ts';
import { isTree, type Tree } from './yaml-layer.ts';

/** What is wrong with a module path pattern, or undefined. Given by the caller: the rules are Go's, not ours. */
export type PatternFault = (pattern: string) => string | undefined;

/** `raw` is what was written in all layers, `parsed` the same with wrong keys replaced by their defaults. */
export function crossFaults(raw: Tree, parsed: ParsedConfig, patternFault: PatternFault): PathFault[] {
  return [
    ...orderFaults(parsed),
    ...listenFaults(parsed),
    ...upstreamFaults(raw['upstreams'], parsed.network.pac !== undefined),
    ...privateFaults(raw['private'], patternFault),
    ...accessFaults(raw, parsed, patternFault),
  ];
}

function orderFaults(parsed: ParsedConfig): PathFault[] {
  const { ingest, timeouts, server } = parsed;
  const rules: readonly [boolean, string, string, string][] = [
    [
      ingest.hold < timeouts.idle,
      'ingest.hold',
      'is not shorter than timeouts.idle',
      'hold for less time, or raise timeouts.idle',
    ],
    [
      ingest.tail <= ingest.limits.zip,
      'ingest.tail',
      'is larger than ingest.limits.zip',
      'hold back less, or raise the limit',
    ],
    [
      timeouts.first_byte.meta <= timeouts.last_hope,
      'timeouts.first_byte.meta',
      'is longer than timeouts.last_hope',
      'shorten it, or raise timeouts.last_hope',
    ],
    [
      timeouts.first_byte.zip <= timeouts.last_hope,
      'timeouts.first_byte.zip',
      'is longer than timeouts.last_hope',
      'shorten it, or raise timeouts.last_hope',
    ],
    [
      server.headers_timeout <= server.request_timeout,
      'server.headers_timeout',
      'is longer than server.request_timeout',
      'shorten it, or raise server.request_timeout',
    ],
  ];
  return rules
    .filter(([holds]) => !holds)
    .map(([, name, wrong, right]) => ({ path: name.split('.'), wrong, right }));
}

function listenFaults(parsed: ParsedConfig): PathFault[] {
  const seen = new Set<string>();
  const faults: PathFault[] = [];
  for (const [index, { host, port, socket }] of parsed.listen.entries()) {
    const address = socket ?? `${host.toLowerCase()}:${port}`;
    if ((port !== 0 || socket !== undefined) && seen.has(address)) {
      faults.push({
        path: ['listen', index],
        wrong: `"${address}" stands twice`,
        right: 'remove one of them',
      });
    }
    seen.add(address);
  }
  return faults;
}

function upstreamFaults(entries: unknown, hasPac: boolean): PathFault[] {
  if (!Array.isArray(entries)) return [];
  const firstByName = new Map<string, number>();
  const faults: PathFault[] = [];
  for (const [index, entry] of (entries as unknown[]).entries()) {
    if (!isTree(entry)) continue;
    faults.push(...credentialFaults(entry, ['upstreams', index]));
    faults.push(...outboundFaults(entry, ['upstreams', index], hasPac));
    const name = entry['name'];
    if (typeof name !== 'string') continue;
    const first = firstByName.get(name);
    if (first === undefined) firstByName.set(name, index);
    else {
      const wrong = `"${name}" is already the name of upstreams[${first}]`;
      faults.push({ path: ['upstreams', index, 'name'], wrong, right: 'give each upstream its own name' });
    }
  }
  return faults;
}

function credentialFaults(entry: Tree, path: readonly PropertyKey[]): PathFault[] {
  const url = entry['url'];
  const inUrl = typeof url === 'string' && /\/\/[^/]*@/.test(url);
  const hasUser = entry['username'] !== undefined;
  const hasPassword = entry['password'] !== undefined;
  if (entry['token'] !== undefined && (hasUser || hasPassword || inUrl)) {
    const wrong = 'token stands beside a user name or password';
    return [{ path: [...path, 'token'], wrong, right: 'keep the token, or user name and password' }];
  }
  if (inUrl && (hasUser || hasPassword)) {
    const wrong = 'the URL holds credentials, and username or password is set as well';
    return [{ path: [...path, 'url'], wrong, right: 'take the credentials out of the URL' }];
  }
  if (hasUser !== hasPassword) {
    const [present, missing] = hasUser ? ['username', 'password'] : ['password', 'username'];
    const wrong = `${present} stands without ${missing}`;
    return [{ path: [...path, present], wrong, right: `set ${missing} too` }];
  }
  return [];
}

/** A client certificate without its key, or `pac` without a script. */
function outboundFaults(entry: Tree, path: readonly PropertyKey[], hasPac: boolean): PathFault[] {
  const faults: PathFault[] = [];
  const pair = ['client_cert', 'client_key'];
  const [present, missing] = entry['client_cert'] === undefined ? pair.toReversed() : pair;
  if (present !== undefined && missing !== undefined) {
    if (entry[present] !== undefined && entry[missing] === undefined) {
      const wrong = `${present} stands without ${missing}`;
      faults.push({ path: [...path, present], wrong, right: `set ${missing} too` });
    }
  }
  if (entry['proxy'] === 'pac' && !hasPac) {
    const right = 'set network.pac, or write pac:FILE_OR_URL';
    faults.push({ path: [...path, 'proxy'], wrong: 'pac stands without network.pac', right });
  }
  return faults;
}

function privateFaults(written: unknown, patternFault: PatternFault): PathFault[] {
  const isList = Array.isArray(written);
  const items: unknown[] = isList ? written : [written];
  return items.flatMap((item, index) => {
    if (typeof item !== 'string') return [];
    const path = isList ? ['private', index] : ['private'];
    return item.split(',').flatMap((pattern) => {
      const fault = patternFault(pattern.trim());
      if (fault === undefined) return [];
      const right = 'write patterns as in GOPRIVATE, e.g. git.corp.example/*';
      return [{ path, wrong: `"${pattern.trim()}" is not a module path pattern: ${fault}`, right }];
    });
  });
}
