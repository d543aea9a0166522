/**
 * Translates zod's issues into faults that say what was written, what is wrong with it and what would be right.
 * The schema's own documentation supplies the words, so no key needs texts of its own here.
 */
import type * as z from 'zod';
import { suggest } from '../lib/suggest.ts';
import type { PathFault } from './fault.ts';
import { entryAt, type Field, fieldAt, nameOf, sectionAt } from './schema-walk.ts';
import { redactUrls } from './secret.ts';

type Issue = z.core.$ZodIssue;

const maxQuoted = 80;

/** All faults of a failed parse. Needs `reportInput: true`, to quote what was written. */
export function faultsOfIssues(issues: readonly Issue[]): PathFault[] {
  return issues.flatMap((issue) => faultsOf(issue, []));
}

function faultsOf(issue: Issue, base: readonly PropertyKey[]): PathFault[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  if (issue.code === 'invalid_union') {
    // The branch meant is the one whose outermost type fits what was written.
    const meant = issue.errors.find((branch) => !branch.some(isOuterTypeIssue));
    if (meant !== undefined) return meant.flatMap((inner) => faultsOf(inner, path));
  }
  return [fieldFault(issue, path)];
}

function isOuterTypeIssue(issue: Issue): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_type';
}

function unknownKey(path: readonly PropertyKey[], key: string): PathFault {
  const section = sectionAt(path);
  const keys = section?.keys ?? [];
  const owner = path.length === 0 ? 'modferry.yaml' : nameOf(path);
  const near = suggest(key, keys);
  const right = near === undefined ? `the keys here are ${keys.join(', ')}` : `did you mean "${near}"?`;
  return { path: [...path, key], wrong: `"${shorten(key)}" is not a key of ${owner}`, right, atKey: true };
}

function fieldFault(issue: Issue, path: readonly PropertyKey[]): PathFault {
  const field = fieldAt(path);
  if (field === undefined || entryAt(path)?.rest.length === 0) return shapeFault(issue, path);
  if (issue.input === undefined && issue.code === 'invalid_type') {
    return { path, wrong: `"${String(path.at(-1))}" is missing`, right: field.info.right };
  }
  const written = describe(issue.input, field);
  const isOurs = issue.code === 'custom';
  const wrong = isOurs ? issue.message : predicateOf(issue, field);
  const hint =
    isOurs && typeof issue.params?.['right'] === 'string' ? issue.params['right'] : field.info.right;
  return { path, wrong: `${written} ${wrong}`, right: hint };
}

function predicateOf(issue: Issue, field: Field): string {
  if (issue.code !== 'too_small') return `is not ${field.info.noun}`;
  return Array.isArray(issue.input) ? 'names none' : 'is empty';
}

/** A section, or an entry of a list, of the wrong kind altogether, or GOPROXY text that is wrong. */
function shapeFault(issue: Issue, path: readonly PropertyKey[]): PathFault {
  if (path[0] === 'upstreams' && path.length === 2) {
    const right = 'write e.g. https://goproxy.cn, or a mapping with url';
    const isOurs = issue.code === 'custom';
    const hint = isOurs && typeof issue.params?.['right'] === 'string' ? issue.params['right'] : right;
    const wrong = isOurs ? issue.message : 'is neither text nor a mapping';
    return { path, wrong: `${describe(issue.input, undefined)} ${wrong}`, right: hint };
  }
  const keys = sectionAt(path)?.keys ?? [];
  const wrong = `${describe(issue.input, undefined)} stands where keys are expected`;
  return { path, wrong, right: `write one or more of ${keys.join(', ')}, each on its own line below` };
}

/** What was written, short and without secrets. */
function describe(input: unknown, field: Field | undefined): string {
  if (input === null) return 'an empty entry';
  if (Array.isArray(input)) return input.length === 0 ? 'an empty list' : 'a list';
  if (typeof input === 'object') return 'a mapping';
  if (field?.info.isSecret === true) return 'the value';
  if (typeof input === 'string') return `"${shorten(redactUrls(input))}"`;
  return typeof input === 'number' || typeof input === 'boolean' ? String(input) : 'this';
}

function shorten(text: string): string {
  return text.length > maxQuoted ? `${text.slice(0, maxQuoted - 1)}…` : text;
}
