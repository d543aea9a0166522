/**
 * nginx over a folder of plain files, the yardstick: sendfile, keep-alive without end, no access log, everything else
 * as it comes. It is what a team would run that had all files already and needed no proxy.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TempDir, tempDir } from '../../test/kit/temp.ts';
import { type Child, startChild } from './child.ts';
import { accepting, freePort } from './ports.ts';

export interface NginxOptions {
  /** The folder to serve. Its parents must be passable for everyone, unless nginx runs as root like us. */
  readonly root: string;
  /** Default `auto`: one per processor. */
  readonly workers?: number | 'auto';
}

export interface Nginx extends AsyncDisposable {
  readonly url: string;
  /** Of the master; the workers are its children. */
  readonly pid: number;
  readonly close: () => Promise<void>;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const dir: TempDir = await tempDir('nginx');
  const port = await freePort();
  const file = join(dir.path, 'nginx.conf');
  await writeFile(file, configuration(dir.path, port, options));
  const env = { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
  const child: Child = startChild(['nginx', '-e', join(dir.path, 'error.log'), '-c', file], env);
  const close = async (): Promise<void> => {
    await child.close();
    await dir.remove();
  };
  try {
    await accepting(port);
  } catch (error) {
    await close();
    throw error;
  }
  return { url: `http://127.0.0.1:${port}`, pid: child.pid, close, [Symbol.asyncDispose]: close };
}

function configuration(folder: string, port: number, { root, workers = 'auto' }: NginxOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${folder}/${name};\n`,
  );
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;\n' : ''}worker_processes ${workers};
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  sendfile on;
  tcp_nopush on;
  access_log off;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
${temporary.join('')}  server {
    listen 127.0.0.1:${port} backlog=1024;
    root ${root};
  }
}
`;
}
