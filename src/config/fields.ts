/**
 * The building blocks of the schema: one function for each kind of value. A block is a zod schema whose input is
 * what people write and whose output is a number, boolean or small object, with its documentation registered
 * beside it, so that type, JSON schema, reference page and fault texts come from one place.
 */
import * as z from 'zod';
import { formatByteSize, parseByteSize } from '../lib/byte-size.ts';
import { formatDuration, parseDuration } from '../lib/duration.ts';
import type { Parsed } from './shapes.ts';

type FieldKind = 'duration' | 'size' | 'integer' | 'boolean' | 'text' | 'list' | 'entries';

/** What the reference page, the environment layer and the fault texts know of one key. */
export interface FieldInfo {
  readonly kind: FieldKind;
  /** With article, to end "… is not": `a duration`. */
  readonly noun: string;
  /** What to do instead: `write e.g. 30s, 1m30s or 500ms`. */
  readonly right: string;
  /** As it would stand in the file; undefined when there is none. */
  readonly defaultValue: unknown;
  readonly about: string;
  /** A literal is never shown. */
  readonly isSecret: boolean;
  /** May carry credentials inside a URL: shown without them, and may be given by a `*_FILE` variable. */
  readonly mayHoldCredentials: boolean;
}

/** Documentation of every leaf, by its schema instance. */
export const fieldRegistry = z.registry<FieldInfo>();

/** What one entry of a list of mappings holds, by the schema instance of the list. */
export const entrySchemas = new WeakMap<z.core.$ZodType, z.ZodObject>();

interface Common {
  readonly about: string;
}
type Optional<Fields extends { default: unknown }> = Omit<Fields, 'default'>;

type Info = Pick<FieldInfo, 'kind' | 'noun' | 'right'> & Partial<FieldInfo> & Common;

/** Documents a leaf and gives it a default, written as in the file. */
export function withDefault<Schema extends z.ZodType>(schema: Schema, value: z.input<Schema>, info: Info) {
  return document(schema.prefault(value), { ...info, defaultValue: value });
}

/** Documents a leaf that may be left out. */
export function withoutDefault<Schema extends z.ZodType>(schema: Schema, info: Info) {
  return document(schema.optional(), info);
}

/** Documents a leaf as it is. */
export function document<Schema extends z.ZodType>(schema: Schema, info: Info): Schema {
  const documented = schema.describe(info.about);
  fieldRegistry.add(documented, {
    defaultValue: undefined,
    isSecret: false,
    mayHoldCredentials: false,
    ...info,
  });
  return documented;
}

/** A schema whose output is made by one of our parsers; its fault text reaches the user unchanged. */
export function parsedBy<Schema extends z.ZodType, Value>(
  schema: Schema,
  parse: (raw: z.output<Schema>) => Parsed<Value>,
) {
  return schema.transform((raw, context): Value => {
    const parsed = parse(raw);
    if ('value' in parsed) return parsed.value;
    context.issues.push({
      code: 'custom',
      message: parsed.wrong,
      input: raw,
      params: { right: parsed.right },
    });
    return z.NEVER;
  });
}

/** A list of module path patterns, empty unless it is given. */
export function patternList(about: string, right = 'write patterns as in GOPRIVATE, e.g. example.com/*') {
  const parse = (text: string): Parsed<string> =>
    text.trim() === '' ? { wrong: 'is empty' } : { value: text.trim() };
  return withDefault(listOf(parse), [], { kind: 'list', noun: 'a module path pattern', right, about });
}

export interface DurationField extends Common {
  readonly default: string;
  /** Smallest accepted value, milliseconds. Default 1. */
  readonly minMs?: number;
  /** Largest accepted value, milliseconds. Default one day: nothing a request waits for lasts longer. */
  readonly maxMs?: number;
}

function durationSchema(field: Optional<DurationField>) {
  const { minMs = 1, maxMs = 86_400_000 } = field;
  const written = z
    .union([z.string(), z.number()])
    .meta({ pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$|^[0-9]+(\\.[0-9]+)?$' });
  return parsedBy(written, (raw): Parsed<number> => {
    const valueMs = parseDuration(String(raw));
    if (valueMs === undefined) return { wrong: 'is not a duration' };
    if (valueMs < minMs) return { wrong: 'is too short', right: `write ${formatDuration(minMs)} or more` };
    if (valueMs > maxMs) return { wrong: 'is too long', right: `write ${formatDuration(maxMs)} or less` };
    return { value: valueMs };
  });
}

const durationInfo = {
  kind: 'duration',
  noun: 'a duration',
  right: 'write e.g. 30s, 1m30s or 500ms',
} as const;

/** A duration; the output is milliseconds. */
export function duration(field: DurationField) {
  return withDefault(durationSchema(field), field.default, { ...durationInfo, about: field.about });
}

/** A duration that may be left out. */
export function optionalDuration(field: Optional<DurationField>) {
  return withoutDefault(durationSchema(field), { ...durationInfo, about: field.about });
}

export interface SizeField extends Common {
  readonly default: string;
  /** Default 0. */
  readonly minBytes?: number;
  /** Default 1 TiB. */
  readonly maxBytes?: number;
}

/** A size; the output is bytes. */
export function size(field: SizeField) {
  const { minBytes = 0, maxBytes = 1024 ** 4 } = field;
  const written = z
    .union([z.string(), z.int()])
    .meta({ pattern: '^[0-9]+(\\.[0-9]+)? ?(([KMGTkmgt][Ii]?)?[Bb])?$' });
  const schema = parsedBy(written, (raw): Parsed<number> => {
    const valueBytes = parseByteSize(String(raw));
    if (valueBytes === undefined) return { wrong: 'is not a size' };
    if (valueBytes < minBytes)
      return { wrong: 'is too small', right: `write ${formatByteSize(minBytes)} or more` };
    if (valueBytes > maxBytes)
      return { wrong: 'is too large', right: `write ${formatByteSize(maxBytes)} or less` };
    return { value: valueBytes };
  });
  return withDefault(schema, field.default, {
    kind: 'size',
    noun: 'a size',
    right: 'write e.g. 512MiB, 64KiB or 1GB',
    about: field.about,
  });
}

export interface IntegerField extends Common {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

function integerSchema(field: Optional<IntegerField>) {
  const { min, max } = field;
  return parsedBy(z.number().meta({ type: 'integer', minimum: min, maximum: max }), (raw): Parsed<number> => {
    if (Number.isInteger(raw) && raw >= min && raw <= max) return { value: raw };
    return { wrong: `is not a whole number from ${min} to ${max}` };
  });
}

function integerInfo(field: Optional<IntegerField>): Info {
  const right = `write a whole number from ${field.min} to ${field.max}`;
  return { kind: 'integer', noun: 'a whole number', right, about: field.about };
}

export function integer(field: IntegerField) {
  return withDefault(integerSchema(field), field.default, integerInfo(field));
}

/** A whole number that may be left out. */
export function optionalInteger(field: Optional<IntegerField>) {
  return withoutDefault(integerSchema(field), integerInfo(field));
}

/** A switch. Only YAML's own `true` and `false`; from the environment also 1 and 0. */
export function flag(field: Common & { readonly default: boolean }) {
  return withDefault(z.boolean(), field.default, {
    kind: 'boolean',
    noun: 'true or false',
    right: 'write true or false',
    about: field.about,
  });
}

/** One of a few words. */
export function choice<const Word extends string>(
  field: Common & { readonly default: NoInfer<Word>; readonly words: readonly [Word, ...Word[]] },
) {
  return withDefault(z.literal(field.words), field.default, choiceInfo(field.words, field.about));
}

/** One of a few words, or left out. */
export function optionalChoice<const Word extends string>(
  field: Common & { readonly words: readonly [Word, ...Word[]] },
) {
  return withoutDefault(z.enum(field.words), choiceInfo(field.words, field.about));
}

function choiceInfo(words: readonly string[], about: string): Info {
  const list = words.join(', ');
  return { kind: 'text', noun: `one of ${list}`, right: `write one of ${list}`, about };
}

/** A list of mappings, each with keys of its own; empty unless it is given. */
export function entryList<Entry extends z.ZodObject>(entry: Entry, info: Omit<Info, 'kind'>) {
  return ofEntries(withDefault(z.array(entry), [], { kind: 'entries', ...info }), entry);
}

/** Says what the mappings of a list hold. */
export function ofEntries<Schema extends z.ZodType>(list: Schema, entry: z.ZodObject): Schema {
  entrySchemas.set(list, entry);
  return list;
}

/** Text that is never shown: a reference (`env:NAME`, `file:PATH`) or the value itself. */
export function secretText(about: string, example = 'env:UPSTREAM_TOKEN or file:/run/secrets/token') {
  return withoutDefault(z.string().min(1), {
    kind: 'text',
    noun: 'text',
    right: `write e.g. ${example}, and digits in quotes`,
    about: `${about} \`env:NAME\`, \`file:PATH\` or the value itself.`,
    isSecret: true,
  });
}

/** Text that may be left out. */
export function optionalText(field: Common & { readonly noun: string; readonly right: string }) {
  return withoutDefault(z.string().min(1), { kind: 'text', ...field });
}

/** A list of which every item is text in one shape; a single item may stand without the brackets. */
export function listOf<Value>(parseItem: (text: string) => Parsed<Value>) {
  const item = parsedBy(z.string(), parseItem);
  return z.union([item.transform((value): Value[] => [value]), z.array(item)]);
}
