/** Who gets which status of what: the expected table of access-matrix.test.ts, with what is refused told and hidden. */

export const people = ['anonymous', 'alice', 'bob', 'reader', 'admin'] as const;
export type Person = (typeof people)[number];
/** The statuses are in the order of `people`. */
export const told = `
team-a .info .mod .zip list latest query HEAD  401 200 403 200 200
team-a range                                   401 206 403 206 206
team-a 304                                     401 304 403 304 304
team-b .info .mod .zip list latest query HEAD  401 403 200 403 200
team-b range                                   401 403 206 403 206
team-b 304                                     401 403 304 403 304
closed .info .mod .zip list latest query HEAD  403 403 403 403 403
closed range 304                               403 403 403 403 403
private .info .mod .zip list latest query HEAD 401 200 200 403 200
private range                                  401 206 206 403 206
private 304                                    401 304 304 403 304
public .info .mod .zip list latest query HEAD  200 200 200 200 200
public range                                   206 206 206 206 206
public 304                                     304 304 304 304 304
team-a lookup                                  404 404 404 404 404
team-b lookup                                  404 404 404 404 404
closed lookup                                  404 404 404 404 404
private lookup                                 404 404 404 404 404
public lookup                                  200 200 200 200 200
team-a PUT                                     401 201 403 403 201
team-b PUT                                     401 403 201 403 201
closed PUT                                     403 403 403 403 403
private PUT                                    401 403 403 403 201
public PUT                                     403 403 403 403 403
team-a DELETE                                  401 403 403 403 200
team-b DELETE                                  401 403 403 403 200
closed DELETE                                  403 403 403 403 403
private DELETE                                 401 403 403 403 200
public DELETE                                  401 403 403 403 404
- metrics home version healthz                 200 200 200 200 200
- whoami                                       401 200 200 200 200
- tokens                                       401 403 403 403 200
- POST tokens                                  401 403 403 403 400
- DELETE token                                 401 403 403 403 404
- unknown                                      404 404 404 404 404
`;

/** What is not for one's eyes is not there; what changes something says what is wrong. */
export const hidden = told.replaceAll(/^((?:team-[ab]|closed|private) (?:\.info|range|304).*)$/gm, (row) =>
  row.replaceAll(/\b40[13]\b/g, '404'),
);

/** `team-a .info .mod  401 200` as one line for each endpoint. */
export function rowsOf(table: string): { team: string; name: string; statuses: string }[] {
  return table
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [, team = '', names = '', statuses = ''] = /^(\S+) (.*?) +(\d{3}(?: \d{3}){4})$/.exec(line) ?? [];
      const each = /^(?:POST|DELETE) \w+/.test(names) ? [names] : names.split(' ');
      return each.map((name) => ({ team, name, statuses }));
    });
}
