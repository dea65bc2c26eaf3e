import assert from 'node:assert/strict'
import { test } from 'node:test'
import { find, match, nameOf, taking, written, type Action } from '../../src/model/actions.ts'
import { actions } from '../../src/ui/actions.ts'

const stroke = (key: string, held: Partial<Record<'ctrlKey' | 'metaKey' | 'altKey', boolean>> = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, ...held })
const labels = (search: string, recent: string[] = []) => find(actions, search, recent).map((f) => f.action.label)

test('every action has an id and a label of its own, and says what it needs', () => {
  const ids = actions.map((a) => a.id)
  assert.equal(new Set(ids).size, ids.length, 'two actions share an id')
  const shown = actions.filter((a) => !a.keyOnly).map((a) => a.group + a.label)
  assert.equal(new Set(shown).size, shown.length, 'two entries of the palette look the same')
  for (const a of actions) if (a.when && !a.keyOnly) assert.ok(a.needs, `${a.id} does not say what it needs`)
})

test('no key starts two actions in one place', () => {
  for (const page of ['traffic', 'rules', 'settings'] as const) {
    for (const key of new Set(actions.flatMap((a) => a.keys ?? []))) {
      const started = taking(actions, key, page, true)
      assert.ok(started.length <= 1, `${key} on ${page} starts ${started.map((a) => a.id).join(', ')}`)
    }
  }
})

test('the keys that were asked for do what was asked for', () => {
  const wanted: Record<string, string> = {
    j: 'next', k: 'previous', '/': 'filter', Enter: 'open', r: 'replay', R: 'replay-as', e: 'edit', m: 'mark', c: 'copy-curl', y: 'copy-link',
    x: 'delete', f: 'follow', '?': 'help', 'Mod+k': 'palette',
  }
  for (const [key, id] of Object.entries(wanted)) assert.equal(taking(actions, key, 'traffic', true)[0]?.id, id, key)
})

test('a modifier makes another key, and Alt none of ours', () => {
  assert.equal(nameOf(stroke('r')), 'r')
  assert.equal(nameOf(stroke('K', { ctrlKey: true })), 'Mod+k')
  assert.equal(nameOf(stroke('k', { metaKey: true })), 'Mod+k')
  assert.equal(nameOf(stroke('r', { altKey: true })), '')
  assert.deepEqual(taking(actions, nameOf(stroke('r', { ctrlKey: true })), 'traffic', true), [])
})

test('keys that belong to the list are taken there only', () => {
  assert.equal(taking(actions, 'Enter', 'traffic', false).length, 0)
  assert.equal(taking(actions, 'ArrowDown', 'traffic', false).length, 0)
  assert.equal(taking(actions, 'r', 'settings', true).length, 0)
})

test('keys are written as people read them', () => {
  const a = (keys: string[]): Action => ({ id: 'a', label: 'a', group: 'List', keys, run: () => {} })
  assert.equal(written(a(['Mod+k'])), 'Ctrl+K')
  assert.equal(written(a(['Mod+k']), true), '⌘K')
  assert.equal(written(a(['j', 'ArrowDown'])), 'j or ↓')
})

test('a few letters find an action, whole words before beginnings before the rest', () => {
  assert.equal(labels('curl')[0], 'Copy as curl')
  assert.equal(labels('rep')[0], 'Replay')
  assert.equal(labels('cac')[0], 'Copy as curl')
  assert.equal(labels('set tru')[0], 'Settings: trust')
  assert.ok(labels('exchange mark').includes('Mark, or take the mark away'), 'the group is searched, too')
  assert.deepEqual(labels('zzzz'), [])
  assert.equal(find(actions, '', []).length, actions.filter((a) => !a.keyOnly).length)
})

test('what was used lately stands first', () => {
  assert.deepEqual(labels('', ['follow', 'delete']).slice(0, 2), ['Follow the newest', 'Delete'])
  const [first, second] = labels('tls', ['tab-tls'])
  assert.equal(first, 'Show TLS')
  assert.notEqual(second, undefined)
})

test('letters that were found are where they are', () => {
  for (const [text, search] of [['Copy as curl', 'cac'], ['Follow the newest', 'fnew'], ['Show TLS', 'tls']] as const) {
    const m = match(text, search)!
    assert.equal(m.hits.map((i) => text[i]!.toLowerCase()).join(''), search)
    assert.deepEqual(m.hits, [...m.hits].sort((a, b) => a - b))
  }
  assert.equal(match('Replay', 'yr'), undefined)
})
