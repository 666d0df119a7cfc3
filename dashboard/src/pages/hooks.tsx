/** All hooks: found, made, brought along. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import * as queries from "../api/queries.ts";
import { Field } from "../components/field.tsx";
import { HookList, hooksWith } from "../components/hook_list.tsx";
import { ImportButton, ImportProgress, useImport } from "../components/import_hook.tsx";
import { NewHook } from "../components/new_hook.tsx";
import { Card, Page } from "../components/page.tsx";
import { GuestNote } from "../components/sign_in.tsx";
import { byRecency } from "../recent.ts";
import { useTitle } from "../title.ts";
import { NoHooks } from "./home.tsx";
import style from "./hooks.module.css";

export function HooksPage() {
  useTitle("All hooks");
  const { data: hooks } = useQuery({ ...queries.hooks, refetchInterval: 10_000 });
  const [words, setWords] = useState("");
  const importing = useImport();
  const sought = words.trim();
  const shown = hooks && hooksWith(byRecency(hooks), sought);
  return (
    <Page
      title="All hooks"
      isFilled
      actions={
        <>
          <ImportButton importing={importing} />
          {hooks?.length !== 0 && <NewHook kind="main" />}
        </>
      }
    >
      <ImportProgress importing={importing} />
      <div className={style.search}>
        <Field
          label="Search hooks"
          isLabelUnseen
          type="search"
          placeholder="Search hooks by name or description"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <p role="status" className={style.found}>
          {sought && shown && hooks && `${shown.length} of ${hooks.length}`}
        </p>
      </div>
      <Card isFlush>
        {shown?.length === 0 ? (
          <NoHooks sought={sought} onClear={() => setWords("")} />
        ) : (
          <HookList label="All hooks" hooks={shown} />
        )}
      </Card>
      <GuestNote />
    </Page>
  );
}
