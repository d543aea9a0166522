/** Checks of `access.ldap`, `access.oidc`, `access.jwt` and `access.certificates`: what could not be used at the start. */
import { isPublicJobIssuer, namesOwner } from '../lib/token-issuers.ts';
import type { PathFault } from './fault.ts';
import type { ParsedConfig } from './schema.ts';
import { isLoopback } from './shapes.ts';

export function identityFaults({ access, tls }: ParsedConfig): PathFault[] {
  return [
    ...ldapFaults(access.ldap),
    ...oidcFaults(access.oidc),
    ...jwtFaults(access.jwt),
    ...certificateFaults(access.certificates, tls.client_auth),
  ];
}

type Access = ParsedConfig['access'];

function ldapFaults(ldap: Access['ldap']): PathFault[] {
  const faults: PathFault[] = [];
  if (ldap.url.length === 0) return faults;
  const at = (key: string, wrong: string, right: string): void => {
    faults.push({ path: ['access', 'ldap', key], wrong, right });
  };
  if (ldap.user_base === undefined && ldap.user_dn === undefined) {
    const wrong = 'LDAP is on, but nothing says where users are';
    faults.push({ path: ['access', 'ldap'], wrong, right: 'set user_base or user_dn' });
  }
  const lacks = 'has no {user} in it, and would be the same for everybody';
  if (ldap.user_dn !== undefined && !ldap.user_dn.includes('{user}')) {
    at('user_dn', lacks, 'write e.g. uid={user},ou=people,…');
  }
  if (!ldap.user_filter.includes('{user}')) at('user_filter', lacks, 'write e.g. (uid={user})');
  for (const key of ['user_filter', 'group_filter'] as const) {
    if (!ldap[key].startsWith('(')) at(key, 'is no filter', 'write it in parentheses, e.g. (uid={user})');
  }
  for (const key of ['user_base', 'group_base', 'bind_dn'] as const) {
    const name = ldap[key];
    // Active Directory knows user@domain.
    if (name === undefined || name.includes('=') || (key === 'bind_dn' && name.includes('@'))) continue;
    at(key, `"${name}" is no distinguished name`, 'write e.g. ou=people,dc=corp,dc=example');
  }
  if (ldap.bind_dn !== undefined && ldap.bind_password === undefined) {
    at('bind_dn', 'bind_dn stands without bind_password', 'set bind_password too');
  }
  return faults;
}

function oidcFaults(oidc: Access['oidc']): PathFault[] {
  const faults: PathFault[] = [];
  if ((oidc.issuer === undefined) !== (oidc.client_id === undefined)) {
    const [present, missing] = oidc.issuer === undefined ? ['client_id', 'issuer'] : ['issuer', 'client_id'];
    const wrong = `${present} stands without ${missing}`;
    faults.push({ path: ['access', 'oidc', present ?? ''], wrong, right: `set ${missing} too` });
  }
  faults.push(...urlFaults(oidc.issuer, ['access', 'oidc', 'issuer']));
  for (const [claim, value] of oidc.required_claims) {
    if (isGlob(value)) continue;
    const wrong = `the pattern "${value}" of ${claim} is malformed`;
    faults.push({ path: ['access', 'oidc', 'required_claims'], wrong, right: 'close each [ with ]' });
  }
  return faults;
}

const presetIssuers = { github: 'https://token.actions.githubusercontent.com', gitlab: 'https://gitlab.com' };

function jwtFaults(issuers: Access['jwt']): PathFault[] {
  const faults: PathFault[] = [];
  const seen = new Set<string>();
  for (const [index, { issuer: written, preset, jwks_url: keys, rules }] of issuers.entries()) {
    const path = ['access', 'jwt', index];
    const issuer = written ?? (preset === undefined ? undefined : presetIssuers[preset]);
    if (issuer === undefined) {
      faults.push({ path, wrong: 'no issuer is named', right: 'set issuer, or preset' });
      continue;
    }
    faults.push(...urlFaults(written, [...path, 'issuer']), ...urlFaults(keys, [...path, 'jwks_url']));
    if (seen.has(issuer)) {
      const wrong = `"${issuer}" is named twice`;
      faults.push({ path, wrong, right: 'write all its rules in one entry' });
    }
    seen.add(issuer);
    if (rules.length === 0) {
      const right = 'write at least one rule, e.g. rules: [{claims: {repository_owner: acme}, groups: [ci]}]';
      faults.push({ path, wrong: 'without rules its tokens mean nobody', right });
    }
    for (const [at, { claims }] of rules.entries()) {
      faults.push(...ruleFaults(claims, [...path, 'rules', at], isPublicJobIssuer(issuer)));
    }
  }
  return faults;
}

type Claims = Access['jwt'][number]['rules'][number]['claims'];

function ruleFaults(claims: Claims, path: readonly PropertyKey[], isPublic: boolean): PathFault[] {
  const entries = Object.entries(claims);
  if (entries.length === 0) {
    const right = 'name at least one claim';
    return [{ path, wrong: 'a rule without claims would match every token', right }];
  }
  const faults = entries.flatMap(([claim, wanted]) => {
    const bad = [wanted].flat().find((value) => !isGlob(String(value)));
    if (bad === undefined) return [];
    const wrong = `the pattern "${bad}" of ${claim} is malformed`;
    return [{ path: [...path, 'claims', claim], wrong, right: 'close each [ with ]' }];
  });
  if (isPublic && !namesOwner(claims)) {
    const wrong = 'everybody can get tokens from this issuer, and the rule names no owner';
    const right = 'add e.g. repository_owner or namespace_path, without a wildcard for the owner';
    faults.push({ path: [...path, 'claims'], wrong, right });
  }
  return faults;
}

/** Keys that anybody can change on the way prove nothing. */
function urlFaults(text: string | undefined, path: readonly PropertyKey[]): PathFault[] {
  if (text === undefined) return [];
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const right = 'write https://…, exactly as the issuer names itself';
  if (url === undefined) return [{ path, wrong: `"${text}" has no scheme`, right }];
  if (url.username !== '' || url.password !== '') return [{ path, wrong: 'holds credentials', right }];
  const isHere = isLoopback(url.hostname) || url.hostname.endsWith('.localhost');
  if (url.protocol === 'https:' || isHere) return [];
  return [{ path, wrong: `"${text}" is plain http, and not on this machine`, right }];
}

function certificateFaults(rules: Access['certificates'], clientAuth: string): PathFault[] {
  const faults: PathFault[] = [];
  if (rules.length > 0 && clientAuth === 'none') {
    const right = 'set tls.client_auth to optional or required, and tls.client_ca';
    faults.push({ path: ['access', 'certificates'], wrong: 'no client certificate is asked for', right });
  }
  for (const [index, { match }] of rules.entries()) {
    const [, kind = '', pattern = ''] = /^([a-z]+):(.+)$/su.exec(match) ?? [];
    const path = ['access', 'certificates', index, 'match'];
    if (kind === 'fingerprint') {
      if (/^[0-9a-f]{64}$/i.test(pattern.replaceAll(':', ''))) continue;
      const wrong = `"${match}" is no SHA-256`;
      faults.push({ path, wrong, right: 'write its 64 hex digits, with or without colons' });
    } else if (!['cn', 'dns', 'email', 'uri'].includes(kind)) {
      const right = 'begin it with cn:, dns:, email:, uri: or fingerprint:, and write a pattern behind that';
      faults.push({ path, wrong: `"${match}" says of no name what it must be`, right });
    } else if (!isGlob(pattern)) {
      faults.push({ path, wrong: `the pattern "${pattern}" is malformed`, right: 'close each [ with ]' });
    }
  }
  return faults;
}

/** What path.Match of Go takes for well-formed. */
const globShape = /^(?:[^[\\]|\\[^]|\[(?:\^|(?!\^))(?:(?:[^\]\\-]|\\[^])(?:-(?:[^\]\\-]|\\[^]))?)+\])*$/u;

export function isGlob(text: string): boolean {
  return text !== '' && text.isWellFormed() && globShape.test(text);
}
