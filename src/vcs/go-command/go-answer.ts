/** What `go list -m -json` and `go mod download -json` print, and what their failures mean. */
import { VcsError, type VcsErrorCode } from '../types.ts';

export interface GoModuleAnswer {
  readonly version: string;
  readonly time: string | undefined;
  readonly versions: readonly string[];
  /** As printed. */
  readonly origin: unknown;
  /** Absolute paths of files in the module cache. */
  readonly goModFile: string | undefined;
  readonly zipFile: string | undefined;
}

/** Throws VcsError. `stdout` may hold an `Error` even where the command succeeded. */
export function readGoAnswer(
  what: string,
  output: { readonly code: number | undefined; readonly stdout: string; readonly stderr: string },
): GoModuleAnswer {
  const value = parseObject(output.stdout);
  const { Version: version, Time: time, Versions: versions, Origin: origin, Error: error } = value;
  const told = typeof error === 'string' ? error : errText(error);
  if (output.code !== 0 || told !== undefined || typeof version !== 'string') {
    throw goFailure(what, told ?? output.stderr);
  }
  return {
    version,
    time: textOf(time),
    versions: Array.isArray(versions) ? versions.filter((one) => typeof one === 'string') : [],
    origin,
    goModFile: textOf(value['GoMod']),
    zipFile: textOf(value['Zip']),
  };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function errText(value: unknown): string | undefined {
  return typeof value === 'object' && value !== null && 'Err' in value ? textOf(value.Err) : undefined;
}

/**
 * In this order: what tells how far it came goes before words that an absence has, too. What fits nowhere is a failure:
 * an absence must be known.
 */
const signs: readonly (readonly [VcsErrorCode, RegExp])[] = [
  ['refused', /GOVCS disallows|disallowed by GOVCS|executable file not found|not found in \$PATH/i],
  [
    'dns',
    /no such host|could not resolve|name or service not known|temporary failure in name resolution|unknown host/i,
  ],
  [
    'connect',
    /connection refused|network is unreachable|no route to host|connection reset|unable to connect/i,
  ],
  ['timeout', /timed? ?out|deadline exceeded/i],
  ['tls', /x509|certificate|tls:|ssl/i],
  ['auth', /401|authentication failed|authorization (?:failed|required)|permission denied \(publickey/i],
  ['forbidden', /\b403\b|forbidden/i],
  [
    'absent',
    /unknown revision|no matching versions|invalid version|not found|no go-import|does not contain|unrecognized import path|404|410|doesn't exist|does not exist|unable to open an ra_local|no repository/i,
  ],
];

function goFailure(what: string, text: string): VcsError {
  const code = signs.find(([, sign]) => sign.test(text))?.[0] ?? 'failed';
  return new VcsError(code, `${what}: ${lastLine(text)}`);
}

/** What go says last is what it is about. Without control characters, credentials in URLs, and our own folders. */
function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  const line = (lines.at(-1) ?? 'the go command failed without a word')
    .replaceAll(/\p{Cc}/gu, ' ')
    .replaceAll(/\/\/[^/@\s]*@/g, '//')
    .replaceAll(/(?:\/[^\s/:"]+)+\/(?:modcache|gopath|home|tmp|cwd)\b/g, '…')
    .trim();
  return line.length > 240 ? `${line.slice(0, 239)}…` : line;
}
