// jsforce (Node) as extractor and loader over Bulk API 2.0.
'use strict';
const assert = require('assert/strict');
const jsforce = require('jsforce');
const { checksOf, fake, main } = require('./checks.js');

const check = checksOf(`jsforce bulk2 ${new URL(fake.url).protocol.slice(0, -1)}`);
const POLL = { pollInterval: 50, pollTimeout: 60000 };
const SOQL = 'SELECT Id, Name, Amount, IsClosed, SystemModstamp, Description, Account.Name FROM Opportunity';

async function admin(path) {
    const answer = await fetch(`${fake.url}/admin/${path}`);
    assert.equal(answer.status, 200);
    return answer.json();
}

const held = async (entity) => (await admin(`state/${entity}`)).filter((row) => !row.IsDeleted);

async function expected() {
    const accounts = new Map((await held('Account')).map((row) => [row.Id, row.Name]));
    return (await held('Opportunity')).map((row) => ({
        Id: row.Id,
        Name: row.Name,
        Amount: row.Amount,
        IsClosed: String(row.IsClosed),
        SystemModstamp: row.SystemModstamp.replace('+0000', 'Z'),
        Description: row.Description ?? '',
        'Account.Name': accounts.get(row.AccountId) ?? '',
    }));
}

async function extracted(conn, soql) {
    const rows = await (await conn.bulk2.query(soql, POLL)).toArray();
    return rows.map((row) => ({ ...row, Amount: row.Amount === '' ? null : Number(row.Amount) }));
}

async function extract(conn) {
    await check('extracts every opportunity', async () => {
        const wanted = await expected();
        assert.ok(wanted.length >= fake.opportunities);
        assert.deepEqual(await extracted(conn, SOQL), wanted);
    });
    await check('extracts what has changed since', async () => {
        const before = await expected();
        const watermark = before.map((row) => row.SystemModstamp).sort().at(-1);
        // Stamps are whole seconds: the next change must come in a later one.
        await new Promise((resolve) => setTimeout(resolve, 1100));
        const ids = before.slice(5, 9).map((row) => row.Id);
        await conn.sobject('Opportunity').update(ids.map((Id) => ({ Id, NextStep: 'changed' })));
        const wanted = (await expected()).filter((row) => ids.includes(row.Id));
        const found = await extracted(conn, `${SOQL} WHERE SystemModstamp > ${watermark}`);
        assert.deepEqual(found, wanted);
    });
    await check('understands a refused query', () =>
        assert.rejects(conn.bulk2.query('SELECT COUNT() FROM Account', POLL), {
            errorCode: 'FUNCTIONALITY_NOT_ENABLED',
        }),
    );
}

async function changed(kind) {
    const commits = await admin('history?after=2&limit=100000');
    const bulk = commits.filter((commit) => commit.origin.includes('/bulkapi/'));
    const changes = bulk.flatMap((commit) => commit.changes);
    return new Set(changes.filter((change) => change.kind === kind).map((change) => change.id));
}

async function load(conn) {
    const run = (operation, input, more = {}) =>
        conn.bulk2.loadAndWaitForResults({ object: 'Account', operation, input, ...more, ...POLL });
    let ids = [];
    await check('inserts records, which the ledger of changes shows', async () => {
        const input = Array.from({ length: 300 }, (_, number) => ({
            Name: `jsforce "${number}",\nÉ`,
            Phone: String(number),
        }));
        const results = await run('insert', [...input, { Name: '', Phone: 'x' }]);
        assert.equal(results.successfulResults.length, 300);
        assert.equal(results.failedResults.length, 1);
        assert.match(results.failedResults[0].sf__Error, /^REQUIRED_FIELD_MISSING:/);
        assert.deepEqual(results.unprocessedRecords, []);
        ids = results.successfulResults.map((row) => row.sf__Id);
        const names = new Map((await held('Account')).map((row) => [row.Id, row.Name]));
        assert.deepEqual(ids.map((id) => names.get(id)), input.map((row) => row.Name));
        const created = await changed('CREATE');
        assert.ok(ids.every((id) => created.has(id)));
    });
    await check('updates records', async () => {
        const results = await run('update', ids.map((Id) => ({ Id, Phone: null })));
        assert.equal(results.successfulResults.length, 300);
        const phones = new Map((await held('Account')).map((row) => [row.Id, row.Phone]));
        assert.ok(ids.every((id) => phones.get(id) === null));
    });
    await check('upserts records', async () => {
        const input = [{ Id: ids[0], Name: 'upserted' }, { Id: '', Name: 'upserted too' }];
        const results = await run('upsert', input, { externalIdFieldName: 'Id' });
        assert.deepEqual(results.successfulResults.map((row) => row.sf__Created), ['false', 'true']);
    });
    await check('deletes records', async () => {
        const results = await run('delete', ids.map((Id) => ({ Id })));
        assert.equal(results.successfulResults.length, 300);
        const deleted = await changed('DELETE');
        assert.ok(ids.every((id) => deleted.has(id)));
    });
    await check('understands a job that fails', () =>
        assert.rejects(run('insert', [{ Nothing: 'x' }]), /Field name not found : Nothing/),
    );
}

main(async () => {
    const oauth2 = { loginUrl: fake.url, clientId: fake.clientId, clientSecret: fake.clientSecret };
    const conn = new jsforce.Connection({ loginUrl: fake.url, version: '62.0', oauth2 });
    await check('signs in with client credentials', () =>
        conn.authorize({ grant_type: 'client_credentials' }),
    );
    await extract(conn);
    await load(conn);
});
