/** What an operator should hear at the start about credentials that are written down. */
import { compilePatterns } from '../../gomod/module-pattern.ts';
import { Secret } from '../../lib/secret.ts';
import type { SecretSource } from '../../lib/secret-reference.ts';
import { type CredentialEntry, entryName } from './entries.ts';
import { hostOf } from './match.ts';
import { NetrcFile } from './netrc-file.ts';
import { SshKeys } from './ssh-key.ts';

/**
 * One sentence for each entry with a host that no private pattern covers: modules there are asked of public upstreams,
 * and their names are told to the public. `isPrivateHost` gets a host or a glob of hosts, see `privateHosts`.
 */
export function credentialWarnings(
  entries: readonly CredentialEntry[],
  isPrivateHost: (host: string) => boolean,
): string[] {
  return entries.flatMap((entry) => {
    const open = [...new Set(entry.match.map(hostOf))].filter((host) => !isPrivateHost(host));
    if (open.length === 0) return [];
    return [
      `there are credentials (${entryName(entry)}), but no private pattern covers ${open.join(', ')}: its module ` +
        `names are told to public upstreams; write it under private: or remove the credentials`,
    ];
  });
}

const maxNamedHosts = 5;

/**
 * A sentence on hosts of the machine's `.netrc` that no private pattern covers; none when there is no such file. Hosts
 * that `entries` name have a sentence of their own. Never rejects.
 */
export async function netrcWarnings(
  file: string,
  entries: readonly CredentialEntry[],
  isPrivateHost: (host: string) => boolean,
): Promise<string[]> {
  const named = new Set(entries.flatMap(({ match }) => match.map(hostOf)));
  const hosts = await new NetrcFile({ path: file, isNamed: false }).hosts().catch(() => []);
  const open = hosts.filter((host) => !named.has(host) && !isPrivateHost(host));
  if (open.length === 0) return [];
  const shown = open.slice(0, maxNamedHosts).map((host) => host.replaceAll(/[^\w.:-]/g, '?').slice(0, 100));
  const rest = open.length > maxNamedHosts ? ` and ${open.length - maxNamedHosts} more` : '';
  return [
    `the machine's .netrc has credentials for ${shown.join(', ')}${rest}, which no private pattern covers: they are ` +
      'used for no module there; write its modules under private: or set direct.machine_netrc: false',
  ];
}

/** The `isPrivateHost` of a list of private patterns: true where one of them speaks of the host or a part of it. */
export function privateHosts(patterns: readonly string[]): (host: string) => boolean {
  const hosts = patterns.map(hostOf);
  const matches = compilePatterns(hosts.join(','));
  return (host) => hosts.includes(host) || matches(host);
}

/** Sentences on files that hold secrets and are open to others, or cannot be used as they are. Never rejects. */
export async function secretFileWarnings(entries: readonly CredentialEntry[]): Promise<string[]> {
  const keys = new SshKeys();
  const found = await Promise.all(
    entries.map(async ({ use }): Promise<string | undefined> => {
      if (use.kind === 'token') return await warningOf(use.token);
      if (use.kind === 'password') return await warningOf(use.password);
      if (use.kind === 'github_app') return await warningOf(use.privateKey);
      if (use.kind === 'ssh_key') return await keys.fault(use);
      return undefined;
    }),
  );
  return found.filter((text) => text !== undefined);
}

async function warningOf(source: SecretSource): Promise<string | undefined> {
  return source instanceof Secret ? undefined : await source.warning();
}
