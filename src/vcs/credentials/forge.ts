/** What the usual forges want: the user name beside a token, and where GitHub's API is. Judged by the host alone. */

/** The user name that goes with an access token in basic authentication. */
export function tokenUsername(host: string): string {
  if (isGitHub(host)) return 'x-access-token';
  if (hasLabel(host, 'bitbucket')) return 'x-token-auth';
  // GitLab asks for it, Gitee documents it, Gitea, Forgejo and Azure take any.
  return 'oauth2';
}

/** `https://api.github.com`, or that of GitHub Enterprise on this host, without a trailing slash. */
export function githubApiUrl(host: string): string {
  if (host === 'github.com' || host === 'www.github.com') return 'https://api.github.com';
  if (host.endsWith('.ghe.com')) return `https://api.${host}`;
  return `https://${host}/api/v3`;
}

function isGitHub(host: string): boolean {
  return hasLabel(host, 'github') || hasLabel(host, 'ghe') || host.endsWith('.ghe.com');
}

/** One part between dots is the word, or begins or ends with it and a hyphen: `github.com`, `my-github.corp`. */
function hasLabel(host: string, word: string): boolean {
  return host
    .toLowerCase()
    .split('.')
    .some((label) => label === word || label.startsWith(`${word}-`) || label.endsWith(`-${word}`));
}
