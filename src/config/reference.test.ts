import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configExamples } from './examples.ts';
import { renderJsonSchema } from './json-schema.ts';
import { loadConfig } from './load.ts';
import { knownVariables } from './override-layers.ts';
import { renderReference } from './reference.ts';
import { configWalk, entryLists } from './schema-walk.ts';

const root = join(import.meta.dirname, '..', '..');

interface JsonSchemaNode {
  readonly properties?: Record<string, JsonSchemaNode>;
  readonly additionalProperties?: boolean;
  readonly description?: string;
  readonly default?: unknown;
}

describe('the schema', () => {
  it('documents every key and gives it a variable of its own', () => {
    const all = [...configWalk.fields, ...entryLists.flatMap((list) => list.walk.fields)];
    const variables = knownVariables();

    expect(configWalk.fields.length).toBeGreaterThan(50);
    expect(all.filter(({ info }) => info.about === '' || info.right === '')).toEqual([]);
    expect(new Set(variables).size).toBe(variables.length);
    expect(configWalk.fields.find(({ name }) => name === 'ingest.hold')?.variable).toBe(
      'MODFERRY_INGEST_HOLD',
    );
  });

  it('has a leaf or a section behind every key of every section', () => {
    for (const walk of [configWalk, ...entryLists.map((list) => list.walk)]) {
      const known = [...walk.fields, ...walk.sections].map(({ path }) => path.join('.'));
      const keys = walk.sections.flatMap(({ path, keys }) => keys.map((key) => [...path, key].join('.')));
      expect(keys.filter((key) => !known.includes(key))).toEqual([]);
    }
  });
});

describe('the reference page', () => {
  it('has a row for every key', () => {
    const page = renderReference();

    const missing = [...configWalk.fields, ...entryLists.flatMap((list) => list.walk.fields)].filter(
      ({ name }) => !page.includes(`| \`${name}\` |`),
    );
    expect(missing).toEqual([]);
  });

  it.each(configExamples)('has an example "$title" that loads', async ({ yaml, env }) => {
    const loaded = await loadConfig({ file: 'modferry.yaml', env: env ?? {}, readFile: async () => yaml });

    expect(loaded.shown.some(({ source }) => source.layer === 'file')).toBe(true);
  });

  it.each([
    ['docs/configuration.md', renderReference],
    ['modferry.schema.json', renderJsonSchema],
  ])('is up to date in %s', async (file, render) => {
    expect(await readFile(join(root, file), 'utf8')).toBe(render());
  });
});

describe('the JSON schema', () => {
  it('describes what is written, not what it is parsed to, and refuses unknown keys', () => {
    const schema: JsonSchemaNode = JSON.parse(renderJsonSchema());
    const ingest = schema.properties?.['ingest'];

    expect(schema.additionalProperties).toBe(false);
    expect(ingest?.additionalProperties).toBe(false);
    expect(ingest?.properties?.['hold']).toMatchObject({ default: '2s' });
    expect(ingest?.properties?.['hold']?.description).toContain('verified');
  });
});
