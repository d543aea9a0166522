/**
 * Reads `<meta name="go-import" content="prefix vcs repo [subdir]">` from a page, as far as its head goes. Pages are
 * written by strangers and often broken: whatever comes, this ends after one pass and throws nothing.
 * @see https://go.dev/ref/mod#vcs-find
 */

export interface GoImportTag {
  /** Module path that the root of the repository (or its `subdir`) stands for. */
  readonly prefix: string;
  /** As written: `git`, `hg`, `mod` … */
  readonly vcs: string;
  /** As written; not checked. */
  readonly url: string;
  /** As written; '' when there is none. */
  readonly subdir: string;
}

export interface PageHead {
  readonly tags: readonly GoImportTag[];
  /** The head has ended: what follows cannot add a tag. */
  readonly isComplete: boolean;
}

/** `html` may be the beginning of a page. */
export function goImportTags(html: string): PageHead {
  const tags: GoImportTag[] = [];
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', at)) {
    const skipped = afterSpecial(html, at);
    if (skipped !== undefined) {
      if (skipped < 0) return { tags, isComplete: false };
      at = skipped;
      continue;
    }
    const element = readElement(html, at);
    if (element === 'open') return { tags, isComplete: false };
    if (element === undefined) {
      at += 1;
      continue;
    }
    at = element.end;
    if (element.name === '/head' || element.name === 'body') return { tags, isComplete: true };
    if (element.name === 'meta') {
      const tag = tagOf(element.attributes);
      if (tag !== undefined) tags.push(tag);
    }
    if (rawText.has(element.name)) {
      at = endOfRawText(html, at, element.name);
      if (at < 0) return { tags, isComplete: false };
    }
  }
  return { tags, isComplete: false };
}

/** What stands in them is no markup. */
const rawText = new Set(['script', 'style', 'title', 'textarea']);

function endOfRawText(html: string, from: number, name: string): number {
  const end = new RegExp(`</${name}[\\s/>]`, 'gi');
  end.lastIndex = from;
  return end.exec(html)?.index ?? -1;
}

/** Behind a comment, declaration or instruction; -1 when it does not end; undefined when it is none. */
function afterSpecial(html: string, at: number): number | undefined {
  const [close] = specials.find(([, open]) => html.startsWith(open, at)) ?? [];
  if (close === undefined) return undefined;
  const end = html.indexOf(close, at + 2);
  return end < 0 ? -1 : end + close.length;
}

const specials = [
  ['-->', '<!--'],
  [']]>', '<![CDATA['],
  ['>', '<!'],
  ['>', '<?'],
] as const;

interface Element {
  /** Lower case; `/head` for an end tag. */
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Behind its `>`. */
  readonly end: number;
}

const nameEnd = /[\s/>=]/g;
const blank = /[^\s/]/g;
const unquotedEnd = /[\s>]/g;

/** `open`: it does not end in this text. Undefined: this `<` begins no element. */
function readElement(html: string, start: number): Element | 'open' | undefined {
  if (start + 1 >= html.length) return 'open';
  const isEnd = html[start + 1] === '/';
  let at = start + (isEnd ? 2 : 1);
  if (!/[a-z]/i.test(html[at] ?? '')) return undefined;
  const nameStop = find(nameEnd, html, at);
  if (nameStop < 0) return 'open';
  const name = `${isEnd ? '/' : ''}${html.slice(at, nameStop).toLowerCase()}`;
  const attributes = new Map<string, string>();
  at = nameStop;
  for (;;) {
    at = find(blank, html, at);
    if (at < 0) return 'open';
    if (html[at] === '>') return { name, attributes, end: at + 1 };
    // A stray `=` counts as part of a name: otherwise this would not move on.
    const keyStop = find(nameEnd, html, at + 1);
    if (keyStop < 0) return 'open';
    const key = html.slice(at, keyStop).toLowerCase();
    const value = readValue(html, keyStop);
    if (value === undefined) return 'open';
    at = value.end;
    if (attributes.size < maxAttributes && !attributes.has(key)) attributes.set(key, value.text);
  }
}

const maxAttributes = 32;

function readValue(html: string, from: number): { text: string; end: number } | undefined {
  const at = find(/\S/g, html, from);
  if (at < 0) return undefined;
  if (html[at] !== '=') return { text: '', end: from };
  const begin = find(/\S/g, html, at + 1);
  if (begin < 0) return undefined;
  const quote = html[begin];
  if (quote === '"' || quote === "'") {
    const close = html.indexOf(quote, begin + 1);
    return close < 0 ? undefined : { text: html.slice(begin + 1, close), end: close + 1 };
  }
  const end = find(unquotedEnd, html, begin);
  return end < 0 ? undefined : { text: html.slice(begin, end), end };
}

function find(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? -1;
}

function tagOf(attributes: ReadonlyMap<string, string>): GoImportTag | undefined {
  if (attributes.get('name') !== 'go-import') return undefined;
  const [prefix, vcs, url, subdir = '', ...rest] = unescapeText(attributes.get('content') ?? '')
    .split(/\s+/)
    .filter((field) => field !== '');
  if (prefix === undefined || vcs === undefined || url === undefined || rest.length > 0) return undefined;
  return { prefix, vcs, url, subdir };
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescapeText(text: string): string {
  return text.replaceAll(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,4}));/gi, (whole, decimal, hex, name) => {
    if (typeof name === 'string') return entities[name] ?? whole;
    const code = typeof decimal === 'string' ? Number(decimal) : Number.parseInt(String(hex), 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : '';
  });
}
