/**
 * The settings a client needs and their text for each kind of place they go to. Pure: `modferry env` prints what
 * this returns. Quoting is right for values with spaces and quotes, although Go's own patterns have none.
 */

import { isLoopbackHost } from '../outbound/network-address.ts';

export const envFormats = ['sh', 'powershell', 'go', 'dockerfile', 'github', 'gitlab', 'json'] as const;
export type EnvFormat = (typeof envFormats)[number];

/** Variables in the order they are printed. */
export type ClientSettings = readonly (readonly [name: string, value: string])[];

/** For GOAUTH: our own command first, then what go does by itself. */
export const goauthValue = 'modferry goauth;netrc';

/**
 * GOPROXY is our URL alone: `direct` behind it would go around us. Private patterns must not reach the checksum
 * database, but GOPRIVATE would also make go skip the proxy for them; so GONOSUMDB has them and GONOPROXY is
 * `none`, which wins over a GOPRIVATE of the client (ruling 29). GOSUMDB stays as it is. `hasLogin`: credentials come
 * from `modferry login`. Default false.
 */
export function clientSettings(
  url: string,
  privatePatterns: readonly string[],
  { hasLogin = false }: { readonly hasLogin?: boolean } = {},
): ClientSettings {
  const goproxy = ['GOPROXY', url] as const;
  const goauth = hasLogin ? [['GOAUTH', goauthValue] as const] : [];
  if (privatePatterns.length === 0) return [goproxy, ...goauth];
  return [goproxy, ['GONOSUMDB', privatePatterns.join(',')], ['GONOPROXY', 'none'], ...goauth];
}

/** How a client without `modferry login` gives its token, line by line, for a comment. */
export function netrcHint(url: string): readonly string[] {
  return [
    'Without modferry login, go takes a token from ~/.netrc:',
    `machine ${new URL(url).host} login token password YOUR_TOKEN`,
  ];
}

/** A sentence for who would send credentials in the clear; undefined when nobody would. */
export function plainHttpWarning(url: string): string | undefined {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'https:') return undefined;
  const what = `${url} is not https, and go sends credentials over https only`;
  if (isLoopbackHost(hostname)) return `${what}; what needs a log-in cannot be had through it`;
  return `${what}; other clients would send them for everybody on the way to read. Give clients an https URL`;
}

/** Ends with a line break. */
export function renderSettings(settings: ClientSettings, format: EnvFormat): string {
  return renderers[format](settings);
}

/** Lines in front of the settings that change nothing; nothing where the format has no comments. */
export function renderComment(comment: readonly string[], format: EnvFormat): string {
  return format === 'json' ? '' : comment.map((line) => `# ${line}\n`).join('');
}

const renderers: Readonly<Record<EnvFormat, (settings: ClientSettings) => string>> = {
  sh: (settings) => lines(settings, (name, value) => `export ${name}=${quoteSh(value)}`),
  powershell: (settings) =>
    lines(settings, (name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`),
  go: (settings) => lines(settings, (name, value) => `go env -w ${quoteSh(`${name}=${value}`)}`),
  dockerfile: (settings) => lines(settings, (name, value) => `ENV ${name}=${quoteDocker(value)}`),
  github: (settings) => `env:\n${lines(settings, (name, value) => `  ${name}: ${quoteYaml(value)}`)}`,
  // GitLab expands variables inside the values of others; a doubled sign stands for itself.
  gitlab: (settings) =>
    `variables:\n${lines(settings, (name, value) => `  ${name}: ${quoteYaml(value.replaceAll('$', '$$$$'))}`)}`,
  json: (settings) => `${JSON.stringify(Object.fromEntries(settings), null, 2)}\n`,
};

function lines(settings: ClientSettings, render: (name: string, value: string) => string): string {
  return settings.map(([name, value]) => `${render(name, value)}\n`).join('');
}

/** As it stands where every shell reads it the same, else in single quotes. */
function quoteSh(value: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(value)) return value;
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/** Docker expands variables and reads backslashes inside double quotes. */
function quoteDocker(value: string): string {
  if (/^[A-Za-z0-9_@%+=:,./*?-]+$/.test(value)) return value;
  return `"${value.replaceAll(/["\\$]/g, String.raw`\$&`)}"`;
}

/** YAML's single quotes: nothing inside means anything but the quote itself. */
function quoteYaml(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
