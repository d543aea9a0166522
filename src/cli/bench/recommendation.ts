/** What to write down after a bench: a GOPROXY value and the same for modferry.yaml. Pure. */
import type { RankedMirror } from './ranking.ts';

export interface Recommendation {
  /** Best first; empty when none is usable. */
  readonly urls: readonly string[];
  /** Null when no mirror is usable. */
  readonly goproxy: string | null;
  /** For modferry.yaml; null when no mirror is usable. */
  readonly yaml: string | null;
}

/** With fewer stars a mirror is named only when there is no better one. */
const goodStars = 3;

/**
 * Mirrors are joined by `|`: go moves on after any failure. `,` before `direct`: after an answer of 404 or 410 go asks
 * the origin, but an outage does not send every module's name and traffic there.
 */
export function recommend(ranked: readonly RankedMirror[]): Recommendation {
  const usable = ranked.filter(({ isUsable }) => isUsable);
  const good = usable.filter(({ stars }) => stars >= goodStars);
  const urls = (good.length > 0 ? good : usable).map(({ url }) => url);
  if (urls.length === 0) return { urls, goproxy: null, yaml: null };
  return {
    urls,
    goproxy: `${urls.join('|')},direct`,
    yaml: `upstreams:\n${urls.map((url) => `  - url: ${JSON.stringify(url)}\n`).join('')}`,
  };
}
