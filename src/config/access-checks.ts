/** Checks across the keys of `routes`, `access`, `direct`, `webhooks` and `tls`. */
import type { PatternFault } from './checks.ts';
import type { PathFault } from './fault.ts';
import { identityFaults } from './identity-checks.ts';
import type { ParsedConfig } from './schema.ts';
import { isTree, type Tree } from './yaml-layer.ts';

/** `raw` is what was written; wrong keys count with their defaults in `parsed`. */
export function accessFaults(raw: Tree, parsed: ParsedConfig, patternFault: PatternFault): PathFault[] {
  return [
    ...routeFaults(raw, parsed, patternFault),
    ...credentialFaults(raw),
    ...webhookFaults(raw),
    ...tlsFaults(parsed),
    ...identityFaults(parsed),
  ];
}

/** Of the routes behind those of the configuration. */
const reservedNames: ReadonlySet<string> = new Set(['public', 'private', 'GOPRIVATE']);

function routeFaults(raw: Tree, parsed: ParsedConfig, patternFault: PatternFault): PathFault[] {
  const faults: PathFault[] = [];
  const names = new Set<string>();
  const upstreams = upstreamNames(raw);
  for (const [index, route] of parsed.routes.entries()) {
    for (const pattern of route.match.flatMap((text) => text.split(','))) {
      const fault = patternFault(pattern.trim());
      if (fault === undefined) continue;
      const wrong = `"${pattern.trim()}" is not a module path pattern: ${fault}`;
      const right = 'write patterns as in GOPRIVATE, e.g. git.corp.example/*';
      faults.push({ path: ['routes', index, 'match'], wrong, right });
    }
    const name = route.name ?? route.match[0]?.split(',')[0]?.trim() ?? '';
    if (reservedNames.has(name)) {
      const wrong = `"${name}" would be its name, which is that of a built-in route`;
      faults.push({ path: ['routes', index], wrong, right: 'set name, e.g. name: own' });
    } else if (names.has(name)) {
      const wrong = `"${name}" is already the name of another route`;
      faults.push({ path: ['routes', index], wrong, right: 'give each route a name of its own' });
    }
    names.add(name);
    for (const source of route.sources ?? []) {
      if (source === 'direct' || source === 'published' || upstreams === undefined) continue;
      if (upstreams.all.has(source)) {
        if (!route.private || upstreams.private.has(source)) continue;
        const wrong = `"${source}" is an upstream that is not private`;
        const right = 'set private: true at that upstream, or leave it out of this route';
        faults.push({ path: ['routes', index, 'sources'], wrong, right });
        continue;
      }
      const wrong = `"${source}" is no source`;
      const right = `write direct, published, or one of the upstreams with a name: ${[...upstreams.all].join(', ') || 'there are none'}`;
      faults.push({ path: ['routes', index, 'sources'], wrong, right });
    }
    if (route.private && route.checksums !== undefined && route.checksums !== 'off') {
      const wrong = 'a private route is never looked up in a checksum database';
      faults.push({ path: ['routes', index, 'checksums'], wrong, right: 'leave it out' });
    }
  }
  return faults;
}

/** Undefined: they come from this machine's Go settings, and have the names of their hosts. */
function upstreamNames(raw: Tree): { all: Set<string>; private: Set<string> } | undefined {
  const entries = raw['upstreams'];
  if (!Array.isArray(entries)) return undefined;
  const all = new Set<string>();
  const own = new Set<string>();
  for (const entry of entries as unknown[]) {
    if (!isTree(entry)) return undefined;
    const { name } = entry;
    if (typeof name !== 'string') continue;
    all.add(name);
    if (entry['private'] === true) own.add(name);
  }
  return { all, private: own };
}

const credentialKinds = ['token', 'password', 'ssh_key', 'netrc', 'command', 'github_app'] as const;

function credentialFaults(raw: Tree): PathFault[] {
  const direct = raw['direct'];
  const entries = isTree(direct) ? direct['credentials'] : undefined;
  if (!Array.isArray(entries)) return [];
  return (entries as unknown[]).flatMap((entry, index): PathFault[] => {
    if (!isTree(entry)) return [];
    const path = ['direct', 'credentials', index];
    const kinds = credentialKinds.filter((kind) => entry[kind] !== undefined);
    if (kinds.length !== 1) {
      const wrong = kinds.length === 0 ? 'no credential is given' : `${kinds.join(' and ')} stand together`;
      return [{ path, wrong, right: `give exactly one of ${credentialKinds.join(', ')}` }];
    }
    const [kind] = kinds;
    if (kind === 'password' && entry['username'] === undefined) {
      return [
        { path: [...path, 'password'], wrong: 'password stands without username', right: 'set username too' },
      ];
    }
    if (kind === 'github_app' && entry['github_key'] === undefined) {
      const wrong = 'github_app stands without github_key';
      return [{ path: [...path, 'github_app'], wrong, right: 'set github_key too' }];
    }
    return [];
  });
}

function webhookFaults(raw: Tree): PathFault[] {
  const entries = raw['webhooks'];
  if (!Array.isArray(entries)) return [];
  const names = new Set<unknown>();
  return (entries as unknown[]).flatMap((entry, index): PathFault[] => {
    if (!isTree(entry)) return [];
    const faults: PathFault[] = [];
    if (entry['secret'] === undefined) {
      const wrong = 'a webhook without a secret believes everybody';
      faults.push({ path: ['webhooks', index], wrong, right: 'set secret, here and at the forge' });
    }
    if (names.has(entry['name'])) {
      const wrong = `"${String(entry['name'])}" is already the name of another webhook`;
      faults.push({ path: ['webhooks', index, 'name'], wrong, right: 'give each a name of its own' });
    }
    names.add(entry['name']);
    return faults;
  });
}

function tlsFaults({ listen, tls }: ParsedConfig): PathFault[] {
  const faults: PathFault[] = [];
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const [present, missing] = tls.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    const wrong = `${present} stands without ${missing}`;
    faults.push({ path: ['tls', present ?? ''], wrong, right: `set tls.${missing} too` });
  }
  const first = listen.findIndex(({ isTls }) => isTls === true);
  if (first >= 0 && tls.cert === undefined) {
    const wrong = 'an https address needs a certificate';
    faults.push({ path: ['listen', first], wrong, right: 'set tls.cert and tls.key' });
  }
  if (tls.client_auth !== 'none' && tls.client_ca === undefined) {
    const wrong = 'no authority for client certificates is named';
    faults.push({ path: ['tls', 'client_auth'], wrong, right: 'set tls.client_ca' });
  }
  return faults;
}
