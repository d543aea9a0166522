/**
 * docs/configuration.md, rendered from the schema: one table for each section, then the entries of `upstreams:`,
 * then examples. A pure function; scripts/generate.ts writes the page and checks that it is up to date.
 */
import { type ConfigExample, configExamples } from './examples.ts';
import type { FieldInfo } from './fields.ts';
import { flagOf } from './override-layers.ts';
import { configWalk, entryLists, type Field, type SchemaWalk, type Section } from './schema-walk.ts';

const typeNames: Readonly<Record<FieldInfo['kind'], string>> = {
  duration: 'duration',
  size: 'size',
  integer: 'whole number',
  boolean: 'true, false',
  text: 'text',
  list: 'text or list',
  entries: 'list',
};

/** Keys that `modferry serve` has a flag for. */
const flaggedKeys = ['listen', 'data', 'upstreams', 'path_prefix', 'sumdb', 'log.level'];

const introduction = `# Configuration

<!-- Made by \`npm run generate\` from src/config/schema.ts. Changes made here are lost. -->

modferry needs no configuration. What it is given comes from four layers; the upper one wins, key by key:

1. flags (${flaggedKeys.map((key) => `\`${flagOf(key)}\``).join(', ')}),
2. environment variables: \`MODFERRY_\` and the key's path in capitals joined by \`_\`, so \`ingest.hold\` is
   \`MODFERRY_INGEST_HOLD\`; an empty variable counts as not set,
3. the file, \`modferry.yaml\` or the one that \`--config\` or \`MODFERRY_CONFIG\` names,
4. the defaults below.

\`modferry config check\` prints every fault with its place, \`modferry config show\` what is in force and which layer
set it. Unknown keys and unknown \`MODFERRY_*\` variables are faults. A key without a value keeps its default. On
SIGHUP (and when the file changes, if \`watch_config\` is on) the file is read again; one with faults is refused
and the old configuration goes on.

- **Durations**: \`500ms\`, \`30s\`, \`1m30s\`, \`2h\`, \`7d\`; a bare number is seconds.
- **Sizes**: \`64KiB\`, \`512MiB\`, \`1GiB\` (powers of 1024), \`1MB\`, \`1GB\` (powers of 1000); a bare number is bytes.
- **Lists** in a variable are separated by commas. \`MODFERRY_UPSTREAMS\`, for short \`MODFERRY_UPSTREAM\`, is one value
  in the syntax of GOPROXY, or a YAML list in brackets: \`[{url: 'https://goproxy.cn', max_connections: 8}]\`.
- **Secrets** are written as \`env:NAME\` or \`file:PATH\`, and read when the configuration is loaded. Variables whose
  value may hold credentials (marked †) also exist with \`_FILE\` behind the name, for the path of a file that
  holds the value.
- **Relative paths** are meant from the working directory.
- **Editors** check and complete the file with \`modferry.schema.json\` from the repository: put
  \`# yaml-language-server: $schema=PATH/modferry.schema.json\` on the first line.
`;

/** The whole page. */
export function renderReference(): string {
  const parts = [introduction];
  for (const section of configWalk.sections) parts.push(renderSection(configWalk, section, 2, true));
  for (const { field, walk } of entryLists) {
    const shape =
      field.name === 'upstreams'
        ? 'text in the syntax of GOPROXY (`https://goproxy.cn,https://goproxy.io|direct`) or a mapping'
        : 'a mapping';
    parts.push(
      `## Entries of \`${field.name}\`\n\nAn entry is ${shape} with these keys. They have no variables of their own.\n`,
      renderTable(walk.fields, false),
    );
  }
  parts.push('## Examples\n', ...configExamples.map(renderExample));
  return `${parts
    .filter((part) => part !== '')
    .map((part) => part.trimEnd())
    .join('\n\n')}\n`;
}

function renderSection(walk: SchemaWalk, section: Section, level: number, withVariables: boolean): string {
  const own = walk.fields.filter(
    (field) =>
      field.path.length === section.path.length + 1 &&
      section.path.every((key, index) => field.path[index] === key),
  );
  if (own.length === 0) return '';
  const title = section.path.length === 0 ? 'General' : `\`${section.path.join('.')}\``;
  const about = section.about === '' ? '' : `${section.about}\n\n`;
  return `${'#'.repeat(level)} ${title}\n\n${about}${renderTable(own, withVariables)}`;
}

function renderTable(fields: readonly Field[], withVariables: boolean): string {
  const head = withVariables
    ? ['key', 'variable', 'type', 'default', 'meaning']
    : ['key', 'type', 'default', 'meaning'];
  const rows = fields.map((field) => {
    const variable = `\`${field.variable}\`${field.info.mayHoldCredentials ? ' †' : ''}`;
    const cells = [`\`${field.name}\``, variable, typeOf(field), defaultOf(field), field.info.about];
    return withVariables ? cells : cells.toSpliced(1, 1);
  });
  return [head, head.map(() => '---'), ...rows].map(renderRow).join('\n');
}

function renderRow(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function typeOf(field: Field): string {
  const words = /^one of (.+)$/.exec(field.info.noun)?.[1];
  if (words !== undefined) return words;
  return field.info.isSecret ? 'secret' : typeNames[field.info.kind];
}

function defaultOf(field: Field): string {
  const value = field.info.defaultValue;
  if (value === undefined) return '';
  if (value === '') return "`''`";
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function renderExample(example: ConfigExample): string {
  return `### ${example.title}\n\n${example.about}\n\n\`\`\`yaml\n${example.yaml}\`\`\``;
}
