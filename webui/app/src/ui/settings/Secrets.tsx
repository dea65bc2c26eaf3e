import { useState } from 'preact/hooks'
import * as kept from '../../api/kept.ts'
import { quote } from '../../lib/curl.ts'
import { moment } from '../../lib/format.ts'
import { useConsole } from '../context.ts'
import { Command } from '../Command.tsx'
import { Plus, Trash } from '../icons.tsx'
import { Text } from '../Text.tsx'
import { ago, failed, Field, fine, FormProblem, Intro, Reading, useRead } from './parts.tsx'

/** nameProblem says what is wrong with a secret's name, "" if nothing is that can be seen here. */
export function nameProblem(name: string): string {
  if (name.trim() === '') return 'Name it: vault:NAME then stands for it.'
  return /^[A-Za-z0-9._-]+$/.test(name.trim()) ? '' : 'A name has letters, digits, dots, dashes and underscores.'
}

/** Secrets lists the vault's secrets by name: their values go in, and never come out. */
export function Secrets() {
  const app = useConsole()
  const list = useRead(kept.secrets)
  const [name, setName] = useState('')
  const [value, setValue] = useState('')
  const [touched, setTouched] = useState(false)
  const [problem, setProblem] = useState(fine)
  const n = name.trim()
  const wrong = nameProblem(name)
  const replaces = list.value?.some((s) => s.name === n) ?? false
  const save = async () => {
    setTouched(true)
    if (wrong || value === '') return
    try {
      await kept.setSecret(n, value)
      setName('')
      setValue('')
      setTouched(false)
      setProblem(fine)
      app.say(`Sealed. vault:${n} stands for it.`)
      app.settled.value++
    } catch (e) {
      setProblem(failed(e, { name: ['name'], value: ['value'] }))
    }
  }
  const remove = (s: kept.Secret) => (app.confirming.value = {
    text: `Remove the secret ${s.name}? What refers to vault:${s.name} cannot be opened any more.`, label: 'Remove',
    run: () => void app.change('Removing failed', () => kept.removeSecret(s.name), `${s.name} was removed.`),
  })
  return (
    <>
      <Intro command="eaves secret set proxy-password">
        Passwords and passphrases, sealed in the data directory. Wherever one is asked for, vault:NAME stands for it; nobody is shown it again.
      </Intro>
      <Reading list={list} />
      {list.value?.length === 0 && <p class="empty">The vault is empty.</p>}
      {list.value && list.value.length > 0 && (
        <table class="entries">
          <caption class="offscreen">Secrets</caption>
          <thead><tr><th scope="col">Reference</th><th scope="col">Set</th><th scope="col"><span class="offscreen">Actions</span></th></tr></thead>
          <tbody>
            {list.value.map((s) => (
              <tr key={s.name}>
                <th scope="row" class="c-main"><code><Text text={`vault:${s.name}`} /></code></th>
                <td class="c-used"><span title={moment(s.created)}>{ago(s.created)}</span></td>
                <td class="c-actions"><button type="button" class="tool" aria-label={`Remove ${s.name}`} title="Remove" onClick={() => remove(s)}><Trash /></button></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <h3>Add a secret</h3>
      <form class="kept-form" noValidate onSubmit={(e) => { e.preventDefault(); void save() }}>
        <div class="line-one">
          <Field label="Name" grow wrong={problem.at.name ?? (touched || name !== '' ? wrong || undefined : undefined)} note={replaces ? 'There is one of this name: this takes its place.' : n && `vault:${n} stands for it.`}>
            {(a) => <input type="text" {...a} data-add value={name} spellcheck={false} autocapitalize="off" autocomplete="off" placeholder="proxy-password" onInput={(e) => { setName(e.currentTarget.value); setProblem(fine) }} />}
          </Field>
          <Field label="Secret" grow wrong={problem.at.value ?? (touched && value === '' ? 'Type the secret.' : undefined)}>
            {(a) => <input type="password" {...a} value={value} autocomplete="new-password" onInput={(e) => { setValue(e.currentTarget.value); setProblem(fine) }} />}
          </Field>
          <button type="submit" class="button primary beside"><Plus /> {replaces ? 'Replace' : 'Add'}</button>
        </div>
        <Command text={`eaves secret set ${quote(n || 'NAME')}`} of="asks for the secret" />
        <FormProblem failed={problem} />
      </form>
    </>
  )
}
