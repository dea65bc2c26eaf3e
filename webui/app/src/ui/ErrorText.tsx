import { told } from '../lib/cause.ts'
import { Text } from './Text.tsx'

/** ErrorText shows an error's words, what it was standing out from where it was and what else is known. */
export function ErrorText({ text }: { text: string }) {
  const t = told(text)
  return <>{t.where && <Text text={t.where} lineBreaks={false} />}<strong><Text text={t.what} lineBreaks={false} /></strong>{t.rest && <Text text={t.rest} lineBreaks={false} />}</>
}
