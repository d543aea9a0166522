/**
 * SSH keys as ssh itself would judge them, looked at before it runs: it never asks anybody, so that a key it would not
 * take ends in a bare "permission denied".
 */
import { LRUCache } from 'lru-cache';
import { messageOf } from '../../lib/errors.ts';
import { RereadFile } from '../../lib/reread-file.ts';
import { type GitCredential, VcsError } from '../types.ts';

const maxKeyBytes = 64 * 1024;
const maxKnownHostsBytes = 4 * 1024 * 1024;

interface SshFiles {
  readonly keyFile: string;
  readonly knownHostsFile: string | undefined;
}

export class SshKeys {
  readonly #files = new LRUCache<string, RereadFile>({ max: 200 });

  /** Rejects with VcsError `auth`, a sentence, when ssh would not use the key. */
  async credential(files: SshFiles): Promise<GitCredential> {
    const fault = await this.fault(files);
    if (fault !== undefined) throw new VcsError('auth', fault);
    return { kind: 'ssh', keyFile: files.keyFile, knownHostsFile: files.knownHostsFile };
  }

  /** A sentence; undefined: nothing is wrong with the files. Never rejects. */
  async fault({ keyFile, knownHostsFile }: SshFiles): Promise<string | undefined> {
    try {
      const { text, mode, uid } = await this.#file(keyFile, maxKeyBytes).read();
      // ssh looks at the rights of a key only where the key is the user's own.
      if (process.getuid?.() === uid && (mode & 0o077) !== 0) {
        const octal = mode.toString(8).padStart(4, '0');
        return `ssh does not use the key ${keyFile}, because others may read it (mode ${octal}); chmod 600 it`;
      }
      const fault = keyFault(text);
      if (fault !== undefined) return `the key ${keyFile} ${fault}`;
      if (knownHostsFile !== undefined) await this.#file(knownHostsFile, maxKnownHostsBytes).read();
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  #file(path: string, maxBytes: number): RereadFile {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = new RereadFile({ path, maxBytes });
      this.#files.set(path, file);
    }
    return file;
  }
}

function keyFault(text: string): string | undefined {
  const block = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----([\s\S]*?)-----END \1-----/.exec(text);
  if (block === null) return 'is no private key; name the file without .pub';
  const [, label = '', body = ''] = block;
  const isEncrypted =
    label.startsWith('ENCRYPTED') ||
    /^Proc-Type:.*ENCRYPTED/m.test(body) ||
    (label.startsWith('OPENSSH') && isOpensshEncrypted(body));
  return isEncrypted
    ? 'has a passphrase, which nobody is there to type; make one without: ssh-keygen -p -f KEY -N ""'
    : undefined;
}

/** See PROTOCOL.key of OpenSSH: a magic word, then the name of the cipher. */
function isOpensshEncrypted(body: string): boolean {
  const bytes = Buffer.from(body.replaceAll(/\s+/g, ''), 'base64');
  const magic = 'openssh-key-v1\0';
  if (bytes.length < magic.length + 4 || bytes.toString('latin1', 0, magic.length) !== magic) return false;
  const length = bytes.readUInt32BE(magic.length);
  const start = magic.length + 4;
  return bytes.toString('latin1', start, start + Math.min(length, 64)) !== 'none';
}
