/**
 * The settings a client needs and their text for each kind of place they go to. Pure: `modferry env` prints what
 * this returns. Quoting is right for values with spaces and quotes, although Go's own patterns have none.
 */

export const envFormats = ['sh', 'powershell', 'go', 'dockerfile', 'github', 'gitlab', 'json'] as const;
export type EnvFormat = (typeof envFormats)[number];

/** Variables in the order they are printed. */
export type ClientSettings = readonly (readonly [name: string, value: string])[];

/**
 * GOPROXY is our URL alone: `direct` behind it would go around us. Private patterns must not reach the checksum
 * database, but GOPRIVATE would also make go skip the proxy for them; so GONOSUMDB has them and GONOPROXY is
 * `none`, which wins over a GOPRIVATE of the client (ruling 29). GOSUMDB stays as it is.
 */
export function clientSettings(url: string, privatePatterns: readonly string[]): ClientSettings {
  const goproxy = ['GOPROXY', url] as const;
  if (privatePatterns.length === 0) return [goproxy];
  return [goproxy, ['GONOSUMDB', privatePatterns.join(',')], ['GONOPROXY', 'none']];
}

/** Ends with a line break. */
export function renderSettings(settings: ClientSettings, format: EnvFormat): string {
  return renderers[format](settings);
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
