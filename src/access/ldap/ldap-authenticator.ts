/**
 * Names and passwords, checked by an LDAP server: it is bound to as the user, and only its "yes" counts. What it sees of
 * the name is escaped, what it is asked with an empty password is nothing at all (a server takes that for an anonymous
 * log-in and says yes).
 */
import { type Client, type Entry, ResultCodeError } from 'ldapts';
import { isShownName } from '../shown-name.ts';
import type { Authenticator, Credentials, Identity } from '../types.ts';
import { LdapConnections, ServerFault } from './ldap-connections.ts';
import {
  escapeDnValue,
  escapeFilterValue,
  fillTemplate,
  isBelow,
  parseDn,
  type RelativeName,
} from './ldap-escape.ts';
import { checkLdapOptions, type LdapOptions, nameAttributeOf } from './ldap-options.ts';

const maxNameLength = 256;
const maxPasswordLength = 1024;
const maxGroups = 1000;
const defaultTimeoutMs = 5000;
const defaultConnections = 8;
const defaultGroupFilter = '(|(member={dn})(uniqueMember={dn})(memberUid={user}))';

/** Result codes of a bind that speak of the user, not of the server: no such entry, bad name, locked, wrong password. */
const refusals = new Set([19, 32, 34, 48, 49, 50, 53]);

export interface LdapAuthenticator extends Authenticator {
  /** Ends the connections. */
  close(): void;
}

/**
 * `other` for a name that the directory does not know, so that another way may know it. Throws ModferryError
 * `ldap_options` or `ca_file`. `authenticate` rejects with `ldap_unavailable` or `ldap_busy`.
 */
export function createLdapAuthenticator(options: LdapOptions): LdapAuthenticator {
  checkLdapOptions(options);
  const connections = new LdapConnections({
    urls: options.urls,
    startTls: options.startTls ?? false,
    caFile: options.caFile,
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    maxConnections: options.maxConnections ?? defaultConnections,
    clock: options.clock,
  });
  return {
    name: 'ldap',
    async authenticate(credentials, signal) {
      const checked = namePassword(credentials);
      if (typeof checked === 'string') return checked;
      return await connections.use((client) => logIn(client, options, checked), signal);
    },
    close: () => connections.close(),
  };
}

interface NamePassword {
  readonly user: string;
  readonly password: string;
}

function namePassword(credentials: Credentials): NamePassword | 'wrong' | 'other' {
  if (credentials.kind !== 'basic' || credentials.username === '') return 'other';
  const { username: user, password } = credentials;
  if (user.length > maxNameLength || /[\p{Cc}\p{Cf}]/u.test(user) || !user.isWellFormed()) return 'other';
  if (password === '' || password.includes('\0') || password.length > maxPasswordLength) return 'wrong';
  return { user, password };
}

async function logIn(
  client: Client,
  options: LdapOptions,
  { user, password }: NamePassword,
): Promise<Identity | 'wrong' | 'other'> {
  if (options.userDnTemplate !== undefined) {
    const dn = fillTemplate(options.userDnTemplate, { user, dn: '' }, escapeDnValue);
    if (!(await bindAs(client, dn, password))) return 'wrong';
    // Own entries may be unreadable; then the name is as it was typed.
    const entry = (await search(client, dn, { scope: 'base', filter: '(objectClass=*)' }, options)).at(0);
    const name = nameOf(options, user, entry);
    return identityOf(name, await groupsOf(client, options, name, dn, entry));
  }
  await bindForSearch(client, options);
  const filter = fillTemplate(options.userFilter ?? '(uid={user})', { user, dn: '' }, escapeFilterValue);
  const found = await search(client, options.userBase ?? '', { scope: 'sub', filter }, options);
  const [entry] = found;
  if (entry === undefined || found.length > 1) {
    // As long as for a known name: who is in the directory is nobody's business.
    await bindAs(client, `cn=modferry-nobody,${options.userBase ?? ''}`, password);
    return 'other';
  }
  const name = nameOf(options, user, entry);
  const groups = await groupsOf(client, options, name, entry.dn, entry);
  return (await bindAs(client, entry.dn, password)) ? identityOf(name, groups) : 'wrong';
}

async function bindForSearch(client: Client, options: LdapOptions): Promise<void> {
  const { bindDn, bindPassword } = options;
  try {
    await client.bind(bindDn ?? '', bindPassword?.reveal() ?? '');
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error;
    const who = bindDn === undefined ? 'an anonymous search' : `the search account ${bindDn}`;
    const advice = bindDn === undefined ? 'set bind_dn and bind_password' : 'check bind_dn and bind_password';
    throw new ServerFault(`it refuses ${who} (result code ${error.code}); ${advice}`);
  }
}

/** False: the server says that this is not the user. */
async function bindAs(client: Client, dn: string, password: string): Promise<boolean> {
  try {
    await client.bind(dn, password);
    return true;
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error;
    if (refusals.has(error.code)) return false;
    throw new ServerFault(`it does not check the password (result code ${error.code})`);
  }
}

interface Query {
  readonly scope: 'base' | 'sub';
  readonly filter: string;
}

/** At most two entries: more than one is as bad as any number. Nothing where the base does not exist or is not shown. */
async function search(client: Client, base: string, query: Query, options: LdapOptions): Promise<Entry[]> {
  const attributes = [
    nameAttributeOf(options),
    ...(options.memberOf === undefined ? [] : [options.memberOf]),
  ];
  return await searchFor(client, base, { ...query, attributes, sizeLimit: 2 });
}

async function searchFor(
  client: Client,
  base: string,
  query: Query & { readonly attributes: string[]; readonly sizeLimit: number },
): Promise<Entry[]> {
  try {
    return (await client.search(base, query)).searchEntries;
  } catch (error) {
    if (!(error instanceof ResultCodeError)) throw error;
    if (error.code === 32 || error.code === 50) return [];
    throw new ServerFault(`it does not search below ${base} (result code ${error.code})`);
  }
}

async function groupsOf(
  client: Client,
  options: LdapOptions,
  user: string,
  dn: string,
  entry: Entry | undefined,
): Promise<string[]> {
  const { memberOf, groupBase, groupName = 'cn', groupFilter = defaultGroupFilter } = options;
  if (memberOf !== undefined) {
    const base = groupBase === undefined ? [] : parseDn(groupBase);
    return unique(valuesOf(entry, memberOf).flatMap((value) => groupOfDn(value, base ?? [], groupName)));
  }
  if (groupBase === undefined) return [];
  const filter = fillTemplate(groupFilter, { user, dn }, escapeFilterValue);
  const query = { scope: 'sub' as const, filter, attributes: [groupName], sizeLimit: maxGroups };
  const entries = await searchFor(client, groupBase, query);
  return unique(entries.flatMap((group) => valuesOf(group, groupName)));
}

/** A group elsewhere in the directory may have the same name and another owner: only those below the base count. */
function groupOfDn(text: string, base: readonly RelativeName[], attribute: string): string[] {
  const dn = parseDn(text);
  if (dn === undefined || !isBelow(dn, base)) return [];
  const pair = dn[0]?.find(([type]) => type === attribute.toLowerCase());
  return pair === undefined ? [] : [pair[1]];
}

/** Directories do not tell Alice from alice; rules, groups and audit see the one spelling that is stored. */
function nameOf(options: LdapOptions, typed: string, entry: Entry | undefined): string {
  const [stored, ...more] = valuesOf(entry, nameAttributeOf(options)).filter(isShownName);
  return stored !== undefined && more.length === 0 ? stored : typed;
}

function identityOf(name: string, groups: readonly string[]): Identity {
  return { kind: 'user', name, groups, scopes: undefined, expiresAtMs: undefined };
}

function valuesOf(entry: Entry | undefined, attribute: string): string[] {
  const wanted = attribute.toLowerCase();
  const found = Object.entries(entry ?? {}).find(([name]) => name.toLowerCase() === wanted)?.[1];
  const all = Array.isArray(found) ? found : found === undefined ? [] : [found];
  return all.flatMap((value: string | Buffer) => (typeof value === 'string' ? [value] : []));
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names.filter(isShownName))].sort().slice(0, maxGroups);
}
