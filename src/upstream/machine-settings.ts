/**
 * Asks the machine's own Go for its settings, in a process of its own, outside any module and without letting it
 * switch toolchains (ruling 21). A machine without Go is normal and gives `undefined`.
 */
import { execFile } from 'node:child_process';
import { parse } from 'node:path';
import type { GoEnv } from './decide-upstreams.ts';

const names = ['GOPROXY', 'GOPRIVATE', 'GONOPROXY', 'GONOSUMDB', 'GOSUMDB', 'GOINSECURE'];
const maxOutputBytes = 1024 * 1024;

export interface AskGoOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default 3000: a Go on a sleeping network folder must not hold up the start. */
  readonly timeoutMs?: number;
  /** Default `go`, found on the PATH of `env`. */
  readonly command?: string;
}

/** Resolves to what `go env` says; undefined when there is no Go, it fails, or it takes too long. Never rejects. */
export async function askGo(options: AskGoOptions): Promise<GoEnv | undefined> {
  const [values, changed] = await Promise.all([
    runJson(['env', '-json', ...names], options),
    runJson(['env', '-changed', '-json'], options),
  ]);
  return values === undefined ? undefined : { values, changed };
}

function runJson(
  args: readonly string[],
  options: AskGoOptions,
): Promise<Record<string, string> | undefined> {
  return new Promise((resolve) => {
    execFile(
      options.command ?? 'go',
      args,
      {
        // The root of the file system: no go.mod or go.work above it can have a say.
        cwd: parse(process.execPath).root,
        env: { ...options.env, GOTOOLCHAIN: 'local', GOWORK: 'off' },
        timeout: options.timeoutMs ?? 3000,
        killSignal: 'SIGKILL',
        maxBuffer: maxOutputBytes,
        windowsHide: true,
      },
      (error, stdout) => resolve(error === null ? parseStrings(stdout) : undefined),
    );
  });
}

/** A flat JSON object of strings, or undefined. */
function parseStrings(text: string): Record<string, string> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}
