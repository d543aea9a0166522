/**
 * The real `go` command in an environment that knows nothing of this machine: own module cache, build cache and
 * home, no settings file, no toolchain download, and no network unless the test says where.
 */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ModferryError } from '../../src/lib/errors.ts';
import { signalGroup } from './process-group.ts';
import { type TempDir, tempDir } from './temp.ts';

export class GoError extends ModferryError<'go_missing' | 'go_timeout'> {}

export interface RunGoOptions {
  /** Default: the home's own empty folder, outside any module. */
  readonly cwd?: string;
  /** Wins over the defaults below; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default 120 000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Keeps caches from call to call. Default: a fresh one for this call only. */
  readonly home?: GoHome;
  /** Also hands over this machine's CA and proxy variables, to reach the real network. Default false. */
  readonly usesNetwork?: boolean;
}

export interface GoResult {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
}

/** Caches and home of a made-up machine. */
export interface GoHome extends AsyncDisposable {
  readonly path: string;
  readonly modCache: string;
  readonly remove: () => Promise<void>;
}

/** A fresh machine, on which `go` never ran. */
export async function goHome(): Promise<GoHome> {
  const dir = await tempDir('go');
  await mkdir(join(dir.path, 'cwd'));
  // With telemetry on, go leaves a process behind that writes here after the folder was removed.
  const telemetry = join(dir.path, '.config/go/telemetry');
  await mkdir(telemetry, { recursive: true });
  await writeFile(join(telemetry, 'mode'), 'off');
  const modCache = join(dir.path, 'modcache');
  return { path: dir.path, modCache, remove: dir.remove, [Symbol.asyncDispose]: dir.remove };
}

/**
 * Runs `go` with `args`. A failing command is a result, not an error. Throws GoError `go_missing`, `go_timeout`, or
 * the signal's reason; the whole process group is dead by then.
 */
export async function runGo(args: readonly string[], options: RunGoOptions = {}): Promise<GoResult> {
  options.signal?.throwIfAborted();
  if (options.home) return run(args, options, options.home);
  await using home = await goHome();
  return await run(args, options, home);
}

function run(args: readonly string[], options: RunGoOptions, home: GoHome): Promise<GoResult> {
  const { timeoutMs = 120_000, signal } = options;
  const startedMs = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, {
      cwd: options.cwd ?? join(home.path, 'cwd'),
      env: environment(home, options),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let failure: Error | undefined;
    const kill = (why: Error): void => {
      failure ??= why;
      signalGroup(child, 'SIGKILL');
    };
    const onAbort = (): void => kill(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    const timer = setTimeout(() => {
      const text = `go ${args.join(' ')} was still running after ${timeoutMs} ms; it was killed. Its output: ${stderr}`;
      kill(new GoError('go_timeout', text));
    }, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (cause) => {
      failure = new GoError(
        'go_missing',
        'cannot start go; install Go 1.21 or newer and put it on the PATH',
        { cause },
      );
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      if (failure) reject(failure);
      else resolve({ code, stdout, stderr, tookMs: performance.now() - startedMs });
    });
  });
}

const NETWORK_VARIABLES = ['SSL_CERT_FILE', 'SSL_CERT_DIR', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

function environment(home: GoHome, options: RunGoOptions): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: home.path,
    GOPATH: join(home.path, 'gopath'),
    GOMODCACHE: home.modCache,
    GOCACHE: join(home.path, 'gocache'),
    GOTMPDIR: '',
    XDG_CONFIG_HOME: join(home.path, '.config'),
    GOENV: 'off',
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
    GOFLAGS: '-modcacherw',
    // Nobody is asked unless the test names them.
    GOPROXY: 'off',
    GOSUMDB: 'off',
    GOVCS: '*:off',
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
  };
  if (options.usesNetwork) {
    for (const name of NETWORK_VARIABLES.flatMap((name) => [name, name.toLowerCase()])) {
      if (process.env[name] !== undefined) env[name] = process.env[name];
    }
  }
  return { ...env, ...options.env };
}

export interface GoProjectOptions {
  /** Default `project.test/main`. */
  readonly modulePath?: string;
  /** Default `1.21`. */
  readonly goVersion?: string;
  /** Packages that main.go imports. Default: none, so that it needs no packages of the modules. */
  readonly imports?: readonly string[];
  /** Text of go.sum. Default: no such file. */
  readonly goSum?: string;
  /** More files by name; they win. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Writes a main module that requires `requires` (module path → version) into a folder of its own. */
export async function goProject(
  requires: Readonly<Record<string, string>> = {},
  options: GoProjectOptions = {},
): Promise<TempDir> {
  const { modulePath = 'project.test/main', goVersion = '1.21', imports = [] } = options;
  const dir = await tempDir('project');
  const requireLines = Object.entries(requires).map(([path, version]) => `require ${path} ${version}\n`);
  const importLines = imports.map((name) => `import _ "${name}"\n`);
  const files: Record<string, string> = {
    'go.mod': `module ${modulePath}\n\ngo ${goVersion}\n\n${requireLines.join('')}`,
    'main.go': `package main\n\n${importLines.join('')}\nfunc main() {}\n`,
    ...(options.goSum === undefined ? {} : { 'go.sum': options.goSum }),
    ...options.files,
  };
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true });
    await writeFile(join(dir.path, name), content);
  }
  return dir;
}
