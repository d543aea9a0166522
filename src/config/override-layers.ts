/**
 * The layers above the file: environment variables and flags. Both give text, which is turned here into what
 * the file would hold; whether it is right is then judged by the one schema.
 */
import { errnoOf } from '../lib/errors.ts';
import { suggest } from '../lib/suggest.ts';
import { type ConfigFault, faultAt, type Place } from './fault.ts';
import { configWalk, type Field } from './schema-walk.ts';
import { maxFileBytes, parseYaml } from './yaml-layer.ts';

/** One value that replaces what the file says under `field`. */
export interface Override {
  readonly field: Field;
  readonly value: unknown;
  readonly place: Place;
}

export interface OverrideLayer {
  readonly overrides: readonly Override[];
  readonly faults: readonly ConfigFault[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Flag values by the name of the key they set, e.g. `{ listen: ['localhost:0'], path_prefix: '/go' }`. */
export type FlagValues = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

/** Variables with our prefix that are no keys: they say where the file is. */
const otherVariables = ['MODFERRY_CONFIG'];
/** Kubernetes announces a service called modferry in every container beside it with variables of these forms. */
const serviceLink =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;

const fieldsByVariable = new Map<string, Field>();
for (const field of configWalk.fields) {
  fieldsByVariable.set(field.variable, field);
  if (field.name === 'upstreams') fieldsByVariable.set('MODFERRY_UPSTREAM', field);
}

/** Every variable that may be set, `*_FILE` forms included. */
export function knownVariables(): string[] {
  const fileForms = [...fieldsByVariable].filter(([, field]) => field.info.mayHoldCredentials);
  return [...fieldsByVariable.keys(), ...fileForms.map(([name]) => `${name}_FILE`), ...otherVariables];
}

/** The flag that sets a key: `--upstream`, `--path-prefix`, `--log-level`. */
export function flagOf(name: string): string {
  return `--${name === 'upstreams' ? 'upstream' : name.replaceAll(/[._]/g, '-')}`;
}

/**
 * Reads all `MODFERRY_*` variables. An empty one counts as not set; an unknown one is a fault, because a typing
 * error there would otherwise change nothing without a word. `alsoKnown` names variables the caller reads itself.
 */
export async function envLayer(
  env: Environment,
  readFile: (path: string, maxBytes: number) => Promise<string>,
  alsoKnown: readonly string[] = [],
): Promise<OverrideLayer> {
  const faults: ConfigFault[] = [];
  const overrides = new Map<string, Override>();
  const ignored = new Set([...otherVariables, ...alsoKnown]);
  for (const [variable, text] of Object.entries(env).sort(([left], [right]) => (left < right ? -1 : 1))) {
    if (!variable.startsWith('MODFERRY_') || ignored.has(variable) || text === undefined) continue;
    const place: Place = { layer: 'env', where: variable, line: 0, column: 0 };
    const target = targetOf(variable);
    if (target === undefined) {
      if (!serviceLink.test(variable)) faults.push(unknownVariable(place));
      continue;
    }
    if (text === '') continue;
    const { field } = target;
    const content = target.isFile ? await readValueFile(text, place, field, readFile) : { text };
    if ('fault' in content) {
      faults.push(content.fault);
      continue;
    }
    const earlier = overrides.get(field.name);
    if (earlier !== undefined) {
      const wrong = `${earlier.place.where} is set as well`;
      faults.push(faultAt(place, field.name, wrong, 'keep one of the two variables'));
    }
    const converted = fromText(field, content.text, place);
    faults.push(...converted.faults);
    overrides.set(field.name, { field, value: converted.value, place });
  }
  return { overrides: [...overrides.values()], faults };
}

/** Reads flag values. */
export function flagLayer(flags: FlagValues): OverrideLayer {
  const faults: ConfigFault[] = [];
  const overrides: Override[] = [];
  for (const [name, given] of Object.entries(flags)) {
    if (given === undefined || (Array.isArray(given) && given.length === 0)) continue;
    const place: Place = { layer: 'flag', where: flagOf(name), line: 0, column: 0 };
    const field = configWalk.fields.find((candidate) => candidate.name === name);
    if (field === undefined) {
      faults.push(faultAt(place, name, `there is no key "${name}"`, 'leave the flag out'));
      continue;
    }
    if (typeof given !== 'string') {
      overrides.push({ field, value: given, place });
      continue;
    }
    const converted = fromText(field, given, place);
    faults.push(...converted.faults);
    overrides.push({ field, value: converted.value, place });
  }
  return { overrides, faults };
}

function targetOf(variable: string): { readonly field: Field; readonly isFile: boolean } | undefined {
  const field = fieldsByVariable.get(variable);
  if (field !== undefined) return { field, isFile: false };
  if (!variable.endsWith('_FILE')) return undefined;
  const named = fieldsByVariable.get(variable.slice(0, -'_FILE'.length));
  return named?.info.mayHoldCredentials === true ? { field: named, isFile: true } : undefined;
}

function unknownVariable(place: Place): ConfigFault {
  const prefix = 'MODFERRY_'.length;
  // Without the common prefix, which would make every two variables look alike.
  const near = suggest(
    place.where.slice(prefix),
    knownVariables().map((name) => name.slice(prefix)),
  );
  const right =
    near === undefined
      ? 'unset it; see docs/configuration.md for all variables'
      : `did you mean MODFERRY_${near}?`;
  return faultAt(place, '', 'is not a variable of modferry', right);
}

async function readValueFile(
  path: string,
  place: Place,
  field: Field,
  readFile: (path: string, maxBytes: number) => Promise<string>,
): Promise<{ readonly text: string } | { readonly fault: ConfigFault }> {
  try {
    return { text: (await readFile(path, maxFileBytes)).trim() };
  } catch (error) {
    const wrong = `the file "${path}" cannot be read (${errnoOf(error) ?? 'unknown error'})`;
    return { fault: faultAt(place, field.name, wrong, 'name a file that the modferry process may read') };
  }
}

/** What the file would hold for this text. Text that does not convert is passed on and judged by the schema. */
function fromText(
  field: Field,
  text: string,
  place: Place,
): { readonly value: unknown; readonly faults: readonly ConfigFault[] } {
  const trimmed = text.trim();
  switch (field.info.kind) {
    case 'boolean':
      if (/^(?:true|1)$/i.test(trimmed)) return { value: true, faults: [] };
      if (/^(?:false|0)$/i.test(trimmed)) return { value: false, faults: [] };
      return { value: trimmed, faults: [] };
    case 'integer':
      return { value: /^-?\d+$/.test(trimmed) ? Number(trimmed) : trimmed, faults: [] };
    case 'list':
      return { value: splitList(text), faults: [] };
    case 'entries': {
      if (!trimmed.startsWith('[')) {
        // GOPROXY text is one entry; every other list is judged by the schema as what it is.
        return { value: field.name === 'upstreams' ? [trimmed] : trimmed, faults: [] };
      }
      const parsed = parseYaml(trimmed, place);
      const faults = parsed.faults.map((fault) => ({ ...fault, path: field.name }));
      return { value: parsed.value, faults };
    }
    default:
      return { value: text, faults: [] };
  }
}

function splitList(text: string): string[] {
  return text
    .split(/[,\n]/)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
