/** Real hg and svn servers on 127.0.0.1 with one module each, and a proxy through which `go` reaches them by name. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { startConnectProxy } from '../../../test/kit/connect-proxy.ts';
import { signalGroup } from '../../../test/kit/process-group.ts';
import { listenOn } from '../../../test/kit/tcp-server.ts';

const run = promisify(execFile);

export const testEnv = {
  PATH: process.env['PATH'] ?? '',
  HGRCPATH: '',
  HGUSER: 'Test <test@example.test>',
  LC_ALL: 'C',
};

/** A Mercurial repository with the tags v1.0.0 and v1.1.0 and a commit behind them. */
export async function hgRepository(folder: string, modulePath: string): Promise<void> {
  const hg = (...args: string[]): Promise<unknown> => run('hg', args, { cwd: folder, env: testEnv });
  await mkdir(folder, { recursive: true });
  await hg('init');
  await write(folder, { 'go.mod': `module ${modulePath}\n\ngo 1.20\n`, 'a.go': 'package a\n' });
  await hg('commit', '-A', '-m', 'one', '-d', '1700000000 0');
  await hg('tag', 'v1.0.0', '-d', '1700000001 0');
  await write(folder, { 'b.go': 'package a\n\nconst B = 1\n' });
  await hg('commit', '-A', '-m', 'two', '-d', '1700000002 0');
  await hg('tag', 'v1.1.0', '-d', '1700000003 0');
  await write(folder, { 'c.go': 'package a\n\nconst C = 1\n' });
  await hg('commit', '-A', '-m', 'three', '-d', '1700000004 0');
}

/** A Subversion repository; Go knows no tags of it, only revisions. */
export async function svnRepository(folder: string, modulePath: string): Promise<void> {
  const work = `${folder}-work`;
  const config = ['--config-dir', `${folder}-config`];
  await run('svnadmin', ['create', folder], { env: testEnv });
  await writeFile(join(folder, 'conf/svnserve.conf'), '[general]\nanon-access = read\n');
  await write(work, { 'go.mod': `module ${modulePath}\n`, 'a.go': 'package a\n' });
  await run('svn', [...config, 'import', '-q', '-m', 'one', work, `file://${folder}`], { env: testEnv });
}

/** Port of `hg serve` over the repository. */
export async function serveHg(folder: string): Promise<number> {
  const child = spawn('hg', ['serve', '--address', '127.0.0.1', '--port', '0', '--print-url'], {
    cwd: folder,
    env: testEnv,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  onTestFinished(() => signalGroup(child, 'SIGKILL'));
  // Read on to the end: it also writes its access log there.
  const port = Promise.withResolvers<number>();
  let text = '';
  child.stdout.on('data', (chunk) => {
    text = `${text}${String(chunk)}`.slice(0, 4096);
    const [, found] = /:(\d+)\//.exec(text) ?? [];
    if (found !== undefined) port.resolve(Number(found));
  });
  child.stdout.on('end', () => port.reject(new Error(`hg serve ended: ${text}`)));
  return await port.promise;
}

/** Port of `svnserve` over the folder of repositories. */
export async function serveSvn(root: string): Promise<number> {
  const { port, close } = await listenOn(createServer());
  await close();
  const args = ['--daemon', '--foreground', '--listen-host', '127.0.0.1', '--listen-port', String(port)];
  const child = spawn('svnserve', [...args, '--root', root], {
    env: testEnv,
    stdio: 'ignore',
    detached: true,
  });
  onTestFinished(() => signalGroup(child, 'SIGKILL'));
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (isUp) return port;
    if (child.exitCode !== null) throw new Error('svnserve ended');
  }
}

/**
 * A proxy that leads `mod.example.test` to a page with this go-import tag and other names where `ports` says.
 */
export async function startWorld(
  goImport: string,
  ports: Readonly<Record<string, number>>,
): Promise<{ readonly proxyUrl: string; readonly asked: () => readonly string[] }> {
  const pages = createServer((_, response) => {
    response.end(`<head><meta name="go-import" content="${goImport}"></head>`);
  });
  const site = await listenOn(pages);
  onTestFinished(site.close);
  const proxy = await startConnectProxy({ ports: { 'mod.example.test:80': site.port, ...ports } });
  onTestFinished(proxy.close);
  return { proxyUrl: proxy.url, asked: () => proxy.requests.map(({ target }) => target) };
}

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}
