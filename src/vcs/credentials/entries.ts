/** Credentials for repositories as an operator writes them down: to whom they go, and where they come from. */
import type { SecretSource } from '../../lib/secret-reference.ts';

export interface CredentialEntry {
  /**
   * Without a slash: a glob of the repository's host, `git.corp.example`, `*.corp.example`, `git.corp.example:8443`
   * (without a port: any). With one: a module pattern as in GOPRIVATE; the repository must then stand on the module's
   * own host, or match the pattern itself: a discovery page must not lead a secret to another server.
   */
  readonly match: readonly string[];
  readonly use: CredentialUse;
}

/** Where a credential comes from. `ssh_key` is for ssh URLs alone, all others for https. */
export type CredentialUse =
  | {
      readonly kind: 'token';
      readonly token: SecretSource;
      /** Default: what the forge of the host wants beside a token, see forge.ts. */
      readonly username?: string | undefined;
      /** Default `basic`, which every forge takes for git. */
      readonly header?: 'basic' | 'bearer' | undefined;
    }
  | { readonly kind: 'password'; readonly username: string; readonly password: SecretSource }
  | {
      readonly kind: 'ssh_key';
      /** Absolute. */
      readonly keyFile: string;
      /** Absolute. Undefined: the machine's. */
      readonly knownHostsFile: string | undefined;
    }
  /** `file`: absolute; undefined: the machine's own. */
  | { readonly kind: 'netrc'; readonly file: string | undefined }
  /** A program as GOAUTH names one, run without a shell. See `go help goauth`. */
  | { readonly kind: 'command'; readonly argv: readonly string[] }
  | {
      readonly kind: 'github_app';
      /** App id or client id. */
      readonly appId: string;
      /** PEM. */
      readonly privateKey: SecretSource;
      /** Undefined: looked up for the owner of the repository. */
      readonly installationId: string | undefined;
      /** Default: by the host, see forge.ts. */
      readonly apiUrl: string | undefined;
    };

const words: Readonly<Record<CredentialUse['kind'], string>> = {
  token: 'token',
  password: 'user name and password',
  ssh_key: 'SSH key',
  netrc: '.netrc',
  command: 'command',
  github_app: 'GitHub App',
};

/** `token`, `SSH key`: for texts. */
export function useWord(use: CredentialUse): string {
  return words[use.kind];
}

/** `token for git.corp.example`: names an entry in texts. */
export function entryName(entry: CredentialEntry): string {
  return `${useWord(entry.use)} for ${entry.match.join(', ')}`;
}
