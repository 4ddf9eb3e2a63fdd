// jsforce (Node, REST).
'use strict';
const assert = require('assert/strict');
const crypto = require('crypto');
const jsforce = require('jsforce');
const { checksOf, fake, main } = require('./checks.js');

const check = checksOf(`jsforce ${new URL(fake.url).protocol.slice(0, -1)}`);
const VERSION = '62.0';
const REDIRECT_URI = 'http://localhost/callback';

const base64url = (value) => Buffer.from(value).toString('base64url');

function assertion() {
    const header = base64url(JSON.stringify({ alg: 'RS256' }));
    const claims = base64url(
        JSON.stringify({
            iss: fake.clientId,
            sub: fake.username,
            aud: 'https://login.salesforce.com',
            exp: Math.floor(Date.now() / 1000) + 180,
        }),
    );
    const signature = crypto.sign('sha256', Buffer.from(`${header}.${claims}`), fake.privateKey);
    return `${header}.${claims}.${signature.toString('base64url')}`;
}

function connection(oauth2 = {}) {
    const app = { loginUrl: fake.url, clientId: fake.clientId, clientSecret: fake.clientSecret };
    return new jsforce.Connection({
        loginUrl: fake.url,
        version: VERSION,
        oauth2: { ...app, ...oauth2 },
    });
}

async function signIns() {
    await check('signs in with JWT bearer', async () => {
        const byKey = new jsforce.Connection({ loginUrl: fake.url, version: VERSION });
        await byKey.authorize({
            grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
            assertion: assertion(),
        });
        assert.equal((await byKey.identity()).username, fake.username);
    });
    await check('signs in with authorization code and PKCE, and refreshes its session', async () => {
        const web = connection({ redirectUri: REDIRECT_URI, useVerifier: true });
        const page = web.oauth2.getAuthorizationUrl({ scope: 'api refresh_token' });
        // A browser in which the user has logged in has a session in this cookie.
        const inside = connection();
        await inside.authorize({ grant_type: 'client_credentials' });
        const redirect = await fetch(page, {
            method: 'POST',
            headers: { cookie: `sid=${inside.accessToken}` },
            body: new URLSearchParams({ approval: 'allow' }),
            redirect: 'manual',
        });
        await web.authorize(new URL(redirect.headers.get('location')).searchParams.get('code'));
        assert.equal((await web.identity()).username, fake.username);
        const held = web.accessToken;
        await web.oauth2.revokeToken(held);
        assert.equal((await web.query('SELECT Id FROM Organization')).totalSize, 1);
        assert.notEqual(web.accessToken, held);
    });
    await check('understands a refused sign-in', () =>
        assert.rejects(
            connection({ clientSecret: 'wrong' }).authorize({ grant_type: 'client_credentials' }),
            { name: 'invalid_client' },
        ),
    );
}

async function describes(conn) {
    await check('describes the org', async () => {
        const names = (await conn.describeGlobal()).sobjects.map((entity) => entity.name);
        for (const name of ['Account', 'Contact', 'Opportunity', 'User']) {
            assert.ok(names.includes(name), name);
        }
    });
    await check('describes an object', async () => {
        const { fields } = await conn.describe('Opportunity');
        const field = (name) => fields.find((one) => one.name === name);
        assert.equal(field('StageName').type, 'picklist');
        assert.deepEqual(field('AccountId').referenceTo, ['Account']);
    });
}

async function queries(conn) {
    await check('queries in pages', async () => {
        const soql = 'SELECT Id, Name, Account.Name FROM Opportunity';
        const first = await conn.query(soql, { autoFetch: false });
        assert.equal(first.records.length, 2000);
        assert.equal(first.done, false);
        assert.ok(first.totalSize >= fake.opportunities);
        const second = await conn.queryMore(first.nextRecordsUrl);
        assert.equal(second.records.length, first.totalSize - 2000);
        const all = await conn.query(soql, { autoFetch: true, maxFetch: 100000 });
        assert.equal(new Set(all.records.map((row) => row.Id)).size, first.totalSize);
    });
    await check('understands a malformed query', () =>
        assert.rejects(conn.query('SELECT Nothing FROM Account'), { errorCode: 'INVALID_FIELD' }),
    );
}

async function writes(conn) {
    const Account = conn.sobject('Account');
    const id = await check('creates a record', async () => {
        const created = await Account.create({ Name: 'jsforce', BillingCity: 'Genève' });
        assert.equal(created.success, true);
        return created.id;
    });
    await check('reads a record', async () => {
        const row = await Account.retrieve(id);
        assert.equal(row.Name, 'jsforce');
        assert.equal(row.BillingCity, 'Genève');
    });
    await check('updates a record', async () => {
        const updated = await Account.update({ Id: id, Name: 'jsforce 2' });
        assert.equal(updated.success, true);
        const found = await Account.find({ Id: id }, ['Name']);
        assert.deepEqual(found.map((row) => row.Name), ['jsforce 2']);
    });
    await check('deletes a record, which queryAll still finds', async () => {
        assert.equal((await Account.destroy(id)).success, true);
        const soql = `SELECT Id, IsDeleted FROM Account WHERE Id = '${id}'`;
        assert.equal((await conn.query(soql)).totalSize, 0);
        const rows = (await conn.query(soql, { scanAll: true })).records;
        assert.deepEqual(rows.map((row) => row.IsDeleted), [true]);
    });
    await check('creates, updates and deletes records in one request each', async () => {
        const created = await Account.create([{ Name: 'jsforce a' }, { Name: 'jsforce b' }, {}]);
        assert.deepEqual(created.map((one) => one.success), [true, true, false]);
        assert.equal(created[2].errors[0].statusCode, 'REQUIRED_FIELD_MISSING');
        const ids = created.slice(0, 2).map((one) => one.id);
        const updated = await Account.update(ids.map((Id) => ({ Id, Phone: '1' })));
        assert.deepEqual(updated.map((one) => one.success), [true, true]);
        const rows = await Account.retrieve(ids);
        assert.deepEqual(rows.map((row) => row.Phone), ['1', '1']);
        const deleted = await Account.destroy(ids);
        assert.deepEqual(deleted.map((one) => one.success), [true, true]);
    });
}

main(async () => {
    const conn = connection();
    await check('signs in with client credentials', async () => {
        await conn.authorize({ grant_type: 'client_credentials' });
        const identity = await conn.identity();
        assert.equal(identity.username, fake.username);
        assert.equal(identity.organization_id, conn.userInfo.organizationId);
    });
    await signIns();
    await describes(conn);
    await queries(conn);
    await writes(conn);
    await check('signs out', async () => {
        const token = conn.accessToken;
        await conn.logout();
        const ended = new jsforce.Connection({ instanceUrl: fake.url, accessToken: token });
        await assert.rejects(ended.query('SELECT Id FROM Account'), { errorCode: 'INVALID_SESSION_ID' });
    });
});
