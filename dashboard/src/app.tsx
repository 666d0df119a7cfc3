/** Which page stands at which address. */

import { lazy, Suspense } from "react";
import { Route, Switch } from "wouter";
import { Toasts } from "./components/toast.tsx";
import { HealthPage } from "./pages/health.tsx";
import { HistoryPage } from "./pages/history.tsx";
import { HomePage } from "./pages/home.tsx";
import { HookPage } from "./pages/hook/hook.tsx";
import { HooksPage } from "./pages/hooks.tsx";
import { NotFoundPage } from "./pages/not_found.tsx";
import { SettingsPage } from "./pages/settings.tsx";
import { Shell } from "./shell.tsx";

/** With what they need to show anything an action may show: not loaded by who looks at hooks. */
const RunPage = lazy(() => import("./pages/run/run.tsx"));
const GroupPage = lazy(() => import("./pages/group.tsx"));
/** With the threads of this tab. */
const JobsPage = lazy(() => import("./pages/jobs/jobs.tsx"));
/** With what colours a build's log. */
const FunctionsPage = lazy(() => import("./pages/functions/functions.tsx"));
const FunctionPage = lazy(() => import("./pages/function/function.tsx"));
const StartPage = lazy(() => import("./pages/run/start.tsx"));

export function App() {
  return (
    <Toasts>
      <Shell>
        <Suspense>
          <Switch>
            <Route path="/" component={HomePage} />
            <Route path="/hooks" component={HooksPage} />
            <Route path="/hooks/:id">{({ id }) => <HookPage key={id} id={id} />}</Route>
            <Route path="/a/*">{({ "*": slug }) => <StartPage key={slug} slug={decodeURIComponent(slug)} />}</Route>
            <Route path="/r/:id">{({ id }) => <RunPage key={id} id={id} />}</Route>
            <Route path="/p/*">{({ "*": slug }) => <GroupPage key={slug} slug={decodeURIComponent(slug)} />}</Route>
            <Route path="/history" component={HistoryPage} />
            <Route path="/jobs" component={JobsPage} />
            <Route path="/functions" component={FunctionsPage} />
            <Route path="/functions/:id">{({ id }) => <FunctionPage key={id} id={id} />}</Route>
            <Route path="/settings" component={SettingsPage} />
            <Route path="/health" component={HealthPage} />
            <Route component={NotFoundPage} />
          </Switch>
        </Suspense>
      </Shell>
    </Toasts>
  );
}
