/** The `direct.credentials` of a configuration as the credential finder wants them. */
import { resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { CredentialEntry, CredentialUse } from '../vcs/credentials/entries.ts';

type Configured = Config['direct']['credentials'][number];

/** In order. `cwd`: what relative file names are meant from. Entries without any secret are left out. */
export function credentialEntries(configured: readonly Configured[], cwd: string): CredentialEntry[] {
  return configured.flatMap((entry) => {
    const use = useOf(entry, cwd);
    return use === undefined ? [] : [{ match: entry.match, use }];
  });
}

function useOf(entry: Configured, cwd: string): CredentialUse | undefined {
  const { token, username, password, sshKey, knownHosts, netrc, command, githubApp } = entry;
  if (githubApp?.key !== undefined) {
    const { appId, key, installation, apiUrl } = githubApp;
    return { kind: 'github_app', appId, privateKey: key, installationId: installation, apiUrl };
  }
  if (command !== undefined && command.length > 0) return { kind: 'command', argv: command };
  if (sshKey !== undefined) {
    const knownHostsFile = knownHosts === undefined ? undefined : resolve(cwd, knownHosts);
    return { kind: 'ssh_key', keyFile: resolve(cwd, sshKey), knownHostsFile };
  }
  if (netrc !== undefined) return { kind: 'netrc', file: resolve(cwd, netrc) };
  if (token !== undefined) return { kind: 'token', token, username, header: entry.scheme };
  if (username !== undefined && password !== undefined) return { kind: 'password', username, password };
  return undefined;
}
