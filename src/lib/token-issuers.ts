/**
 * What is known of issuers of tokens by their URLs: from some of them anybody gets tokens, so that a token alone says
 * nothing of whose it is. Configuration and log-in judge by the same list.
 */

/** One value of a claim, or several of which any may be there; texts may be globs. */
export type WantedClaim = string | number | boolean | readonly (string | number | boolean)[];

/**
 * One of them says whose job it is. The issuer sets them; a job cannot choose. `job_workflow_ref` is not among them:
 * everybody may call a workflow of a public repository.
 */
export const ownerClaims = [
  'sub',
  'repository',
  'repository_id',
  'repository_owner',
  'repository_owner_id',
  'enterprise',
  'project_path',
  'project_id',
  'namespace_path',
  'namespace_id',
];

/** True: every job of a public forge gets tokens from it. GitHub's have a path for each enterprise, too. */
export function isPublicJobIssuer(issuer: string): boolean {
  return ['token.actions.githubusercontent.com', 'gitlab.com'].includes(hostOf(issuer));
}

const loginHosts = [
  'gitlab.com',
  'accounts.google.com',
  'appleid.apple.com',
  'login.live.com',
  'login.yahoo.com',
  'www.facebook.com',
  'www.linkedin.com',
];

/** Of Microsoft, for whoever has any account there; other paths name one organisation. */
const microsoftForAll = /^\/(?:common|organizations|consumers|9188040d-6c67-4c5b-b112-36a304b66dad)(?:\/|$)/i;

/** True: everybody can have an account there and log in. */
export function isPublicLoginIssuer(issuer: string): boolean {
  const host = hostOf(issuer);
  if (host === 'login.microsoftonline.com') return microsoftForAll.test(new URL(issuer).pathname);
  return loginHosts.includes(host);
}

/** Whether one of these claims says whose job it must be. A wildcard where the owner stands says nobody. */
export function namesOwner(claims: Readonly<Record<string, WantedClaim>>): boolean {
  return Object.entries(claims).some(([name, wanted]) => {
    if (!ownerClaims.includes(name)) return false;
    const texts = [wanted].flat().map(String);
    return texts.length > 0 && texts.every((text) => hasOwner(name, text));
  });
}

function hasOwner(name: string, text: string): boolean {
  // `repo:OWNER/NAME:…` and `project_path:GROUP/PROJECT:…`
  const path = name === 'sub' ? text.replace(/^[\w-]*:/, '') : text;
  const [owner = ''] = path.split('/');
  return owner !== '' && !/[*?[\\]/.test(owner);
}

/** Lower case, without the dot of a rooted name; '' for what is no URL. */
function hostOf(issuer: string): string {
  return URL.canParse(issuer) ? new URL(issuer).hostname.replace(/\.$/, '') : '';
}
