/** The URL of a modferry as users give it: what `env` hands to clients and `warm` asks. */
import { CliError } from './cli-error.ts';

/**
 * Without a trailing slash. Throws CliError `usage`. Go splits GOPROXY at `,` and `|`, so a URL with one would
 * become two.
 */
export function checkedUrl(text: string): string {
  const written = text.trim();
  if (!/^https?:\/\/[^/]/i.test(written) || !URL.canParse(written) || /[\s,|]/.test(written)) {
    throw new CliError('usage', `"${text}" is not an http(s) URL; write e.g. http://localhost:8080`);
  }
  const url = new URL(written);
  if (url.search !== '' || url.hash !== '') {
    throw new CliError('usage', `"${text}" has a query or fragment; write only scheme, host and path`);
  }
  return url.href.replace(/\/+$/, '');
}
