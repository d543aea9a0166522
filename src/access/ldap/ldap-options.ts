/** What `access.ldap` needs to know, the check of it, and what an operator should hear about it. */

import { FilterParser } from 'ldapts';
import type { Clock } from '../../lib/clock.ts';
import { ModferryError } from '../../lib/errors.ts';
import type { Secret } from '../../lib/secret.ts';
import { isLoopbackHost } from '../../outbound/network-address.ts';
import { fillTemplate, parseDn } from './ldap-escape.ts';

export interface LdapOptions {
  /** `ldap://host[:port]` or `ldaps://host[:port]`; the first that can be reached is asked. */
  readonly urls: readonly string[];
  /** Upgrades `ldap://` connections before anything else is said. Default false. */
  readonly startTls?: boolean | undefined;
  /** PEM file with further certificate authorities, beside the default ones. */
  readonly caFile?: string | undefined;
  /** The account that searches for the user; undefined: searches are anonymous. Not used with `userDnTemplate`. */
  readonly bindDn?: string | undefined;
  readonly bindPassword?: Secret | undefined;
  /** Binds as this entry instead of searching for it, e.g. `uid={user},ou=people,dc=corp,dc=example`. */
  readonly userDnTemplate?: string | undefined;
  /** Where users are searched for; required without `userDnTemplate`. */
  readonly userBase?: string | undefined;
  /** Default `(uid={user})`; for Active Directory `(sAMAccountName={user})`. */
  readonly userFilter?: string | undefined;
  /**
   * Attribute with the name that rules and audit use, as the directory spells it. Default: the one that is compared with
   * `{user}` in the template or the filter.
   */
  readonly userName?: string | undefined;
  /** Where groups are searched for. With `memberOf` instead: only groups below it count. */
  readonly groupBase?: string | undefined;
  /** With `{dn}` and `{user}`. Default `(|(member={dn})(uniqueMember={dn})(memberUid={user}))`. */
  readonly groupFilter?: string | undefined;
  /** Attribute of a group's entry that holds its name. Default `cn`. */
  readonly groupName?: string | undefined;
  /** Attribute of the user's entry that lists groups by distinguished name, e.g. `memberOf`; no group is searched then. */
  readonly memberOf?: string | undefined;
  /** Milliseconds for one user at one server, all steps together. Default 5,000. */
  readonly timeoutMs?: number | undefined;
  /** Connections at most. Default 8. */
  readonly maxConnections?: number | undefined;
  readonly clock: Clock;
}

/** Throws ModferryError `ldap_options` with what to write instead. */
export function checkLdapOptions(options: LdapOptions): void {
  if (options.urls.length === 0) throw fault('no server is named; write e.g. ldaps://ldap.corp.example');
  for (const url of options.urls) {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    const isLdap = parsed?.protocol === 'ldap:' || parsed?.protocol === 'ldaps:';
    if (parsed === undefined || !isLdap || parsed.hostname === '') {
      throw fault(`"${url}" is no LDAP URL; write e.g. ldaps://ldap.corp.example`);
    }
    if (!/^\/?$/.test(parsed.pathname) || parsed.search !== '' || parsed.username !== '') {
      throw fault(`"${url}" has more than scheme, host and port; the search base is a setting of its own`);
    }
  }
  const { userDnTemplate, userBase, userFilter, bindDn, bindPassword, groupBase } = options;
  if (userDnTemplate === undefined && userBase === undefined) {
    throw fault('users cannot be found; name user_base, or user_dn_template');
  }
  for (const [name, text] of [
    ['user_dn_template', userDnTemplate],
    ['user_filter', userFilter],
  ]) {
    if (text !== undefined && !text.includes('{user}'))
      throw fault(`${name} lacks {user}; it would be the same for all`);
  }
  for (const filter of [userFilter, options.groupFilter]) {
    if (filter !== undefined && !isFilter(filter))
      throw fault(`"${filter}" is no filter; write e.g. (uid={user})`);
  }
  for (const [name, dn] of [
    ['user_base', userBase],
    ['bind_dn', bindDn],
    ['group_base', groupBase],
  ]) {
    // A bind name without attributes would be taken for a SASL mechanism; Active Directory knows user@domain.
    const isName = dn === undefined || parseDn(dn) !== undefined || (name === 'bind_dn' && dn.includes('@'));
    if (!isName)
      throw fault(`${name} "${dn}" is no distinguished name; write e.g. ou=people,dc=corp,dc=example`);
  }
  if (bindDn !== undefined && (bindPassword === undefined || bindPassword.reveal() === '')) {
    throw fault('bind_dn has no bind_password; a server takes that for an anonymous log-in');
  }
}

function isFilter(text: string): boolean {
  try {
    FilterParser.parseString(fillTemplate(text, { user: 'x', dn: 'x' }, (value) => value));
    return text.startsWith('(');
  } catch {
    return false;
  }
}

/** See `LdapOptions.userName`. */
export function nameAttributeOf({ userName, userDnTemplate, userFilter = '' }: LdapOptions): string {
  return userName ?? /([A-Za-z][\w-]*)=\{user\}/.exec(userDnTemplate ?? userFilter)?.[1] ?? 'uid';
}

/** Sentences for the log at start-up. */
export function ldapWarnings(options: Pick<LdapOptions, 'urls' | 'startTls'>): string[] {
  if (options.startTls === true) return [];
  const bare = options.urls.filter((url) => {
    const parsed = URL.canParse(url) ? new URL(url) : undefined;
    return parsed?.protocol === 'ldap:' && !isLoopbackHost(parsed.hostname);
  });
  return bare.map(
    (url) =>
      `passwords go to ${url} unencrypted; use ldaps:// or start_tls: true, or whoever listens can read them`,
  );
}

function fault(message: string): ModferryError<'ldap_options'> {
  return new ModferryError('ldap_options', `access.ldap: ${message}`);
}
