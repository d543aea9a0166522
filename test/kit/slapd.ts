/**
 * A real OpenLDAP server (Debian's slapd) with a configuration and a database of its own, on 127.0.0.1. No service of
 * the system is touched. It does not import vitest.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ModferryError } from '../../src/lib/errors.ts';
import { signalGroup } from './process-group.ts';
import { tempDir } from './temp.ts';
import type { Certificate } from './tls.ts';

const run = promisify(execFile);

export interface SlapdOptions {
  /** LDIF of the entries; the suffix entry and the two branches `ou=people` and `ou=groups` are there already. */
  readonly ldif: string;
  /** With it: `ldaps://` and StartTLS. */
  readonly certificate?: Certificate;
  /** Refuses binds without encryption. Default false. */
  readonly requireTls?: boolean;
}

export interface Slapd extends AsyncDisposable {
  /** `ldap://127.0.0.1:PORT`. */
  readonly url: string;
  /** `ldaps://127.0.0.1:PORT`; undefined without a certificate. */
  readonly tlsUrl: string | undefined;
  readonly suffix: string;
  readonly adminDn: string;
  readonly adminPassword: string;
  /** Ends it; `start` brings it back at the same addresses. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops the process where it is: connections are taken and nothing answers. */
  freeze(): void;
  thaw(): void;
  readonly close: () => Promise<void>;
}

export const slapdSuffix = 'dc=corp,dc=example';
const adminDn = `cn=admin,${slapdSuffix}`;
const adminPassword = 'admin secret';

const branches = `dn: ${slapdSuffix}
objectClass: domain
dc: corp

dn: ou=people,${slapdSuffix}
objectClass: organizationalUnit
ou: people

dn: ou=groups,${slapdSuffix}
objectClass: organizationalUnit
ou: groups

`;

/** Starts one. Rejects with ModferryError `slapd` and its output when it does not come up. */
export async function startSlapd(options: SlapdOptions): Promise<Slapd> {
  const dir = await tempDir('slapd');
  await mkdir(join(dir.path, 'db'));
  const configFile = join(dir.path, 'slapd.conf');
  await writeFile(configFile, configOf(dir.path, options));
  await writeFile(join(dir.path, 'data.ldif'), branches + options.ldif);
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  await run('slapadd', ['-f', configFile, '-l', join(dir.path, 'data.ldif')], { env });
  const url = `ldap://127.0.0.1:${await freePort()}`;
  const tlsUrl = options.certificate === undefined ? undefined : `ldaps://127.0.0.1:${await freePort()}`;
  const urls = tlsUrl === undefined ? url : `${url} ${tlsUrl}`;
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    let output = '';
    const started = spawn('slapd', ['-f', configFile, '-h', urls, '-d', '0'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [started.stdout, started.stderr])
      stream.on('data', (text) => (output += String(text)));
    started.on('error', (error) => (output += error.message));
    child = started;
    for (let tries = 0; tries < 200; tries += 1) {
      if (started.exitCode !== null) break;
      if (await answers(Number(new URL(url).port))) return;
      await wait(25);
    }
    throw new ModferryError('slapd', `slapd does not answer at ${url}; its output: ${output}`);
  }

  async function stop(): Promise<void> {
    const ended = child;
    child = undefined;
    if (ended === undefined || ended.exitCode !== null) return;
    const closed = new Promise((resolve) => ended.once('close', resolve));
    // A frozen one takes no other signal.
    signalGroup(ended, 'SIGKILL');
    await closed;
  }

  const signal = (name: NodeJS.Signals): void => {
    if (child !== undefined) signalGroup(child, name);
  };
  const close = async (): Promise<void> => {
    await stop();
    await dir.remove();
  };
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    tlsUrl,
    suffix: slapdSuffix,
    adminDn,
    adminPassword,
    stop,
    start,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function configOf(dir: string, { certificate, requireTls = false }: SlapdOptions): string {
  const schemas = ['core', 'cosine', 'nis', 'inetorgperson'];
  const tls =
    certificate === undefined
      ? ''
      : `TLSCertificateFile ${certificate.certFile}\nTLSCertificateKeyFile ${certificate.keyFile}\n`;
  return `${schemas.map((name) => `include /etc/ldap/schema/${name}.schema\n`).join('')}
pidfile ${dir}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
${tls}${requireTls ? 'security simple_bind=128\n' : ''}
database mdb
suffix "${slapdSuffix}"
rootdn "${adminDn}"
rootpw "${adminPassword}"
directory ${dir}/db
maxsize 16777216
overlay memberof
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous read
`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
