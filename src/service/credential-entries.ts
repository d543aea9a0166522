/** The `direct.credentials` of a configuration as the credential finder wants them. */
import { resolve } from 'node:path';
import type { Config } from '../config/snapshot.ts';
import type { Secret } from '../lib/secret.ts';
import { type SecretSource, secretReference } from '../lib/secret-reference.ts';
import type { CredentialEntry, CredentialUse } from '../vcs/credentials/entries.ts';

type Configured = Config['direct']['credentials'][number];

/** In order. `cwd`: what relative file names are meant from. Entries without any secret are left out. */
export function credentialEntries(configured: readonly Configured[], cwd: string): CredentialEntry[] {
  return configured.flatMap((entry) => {
    const use = useOf(entry, cwd);
    return use === undefined ? [] : [{ match: entry.match, use }];
  });
}

/** A file is read at each use, so that a rotated one counts at once. */
function sourceOf(secret: Secret, cwd: string): SecretSource {
  const text = secret.reference;
  if (text?.startsWith('file:') !== true) return secret;
  return secretReference(text, { env: {}, resolvePath: (path) => resolve(cwd, path) }) ?? secret;
}

function useOf(entry: Configured, cwd: string): CredentialUse | undefined {
  const { token, username, password, sshKey, knownHosts, netrc, command, githubApp } = entry;
  if (githubApp?.key !== undefined) {
    const { appId, key, installation, apiUrl } = githubApp;
    return {
      kind: 'github_app',
      appId,
      privateKey: sourceOf(key, cwd),
      installationId: installation,
      apiUrl,
    };
  }
  if (command !== undefined && command.length > 0) return { kind: 'command', argv: command };
  if (sshKey !== undefined) {
    const knownHostsFile = knownHosts === undefined ? undefined : resolve(cwd, knownHosts);
    return { kind: 'ssh_key', keyFile: resolve(cwd, sshKey), knownHostsFile };
  }
  if (netrc !== undefined) return { kind: 'netrc', file: resolve(cwd, netrc) };
  if (token !== undefined)
    return { kind: 'token', token: sourceOf(token, cwd), username, header: entry.scheme };
  if (username !== undefined && password !== undefined)
    return { kind: 'password', username, password: sourceOf(password, cwd) };
  return undefined;
}
