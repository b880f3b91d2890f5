package main

import (
	"context"
	"errors"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// partChecks say which parts of the site opened; formats that are newer than
// this program do not.
func partChecks() []check {
	return []check{
		partCheck(partObjects, "the folder of tables and model files opens"),
		partCheck(partBroker, "the embedded broker starts on its segments, or the site's Kafka answers"),
		partCheck(partRegistry, "the model registry opens and its format is known"),
		partCheck(partRuns, "the store of runs opens and its format is known"),
		partCheck(partAccess, "the access database opens and its format is known"),
	}
}

// fleetPartChecks say which parts of each fleet opened.
func fleetPartChecks() []check {
	return []check{
		fleetPartCheck(partDefinition, "the folder's own fleet.yaml and features.yaml load"),
		fleetPartCheck(partLake, "the tables open and their format is known"),
		fleetPartCheck(partTopics, "both topics exist, with the settings of a simulated or imported fleet (T1)"),
		fleetPartCheck(partOnline, "the online store opens and its format is known"),
		fleetPartCheck(partAlerts, "the alert store opens, is this fleet's, and its format is known"),
	}
}

func partCheck(part, what string) check {
	return check{name: part, what: what, needs: []string{partFolder}, site: func(_ context.Context, e *exam) verdict {
		return e.opened(e.faults[part], part)
	}}
}

func fleetPartCheck(part, what string) check {
	return check{name: part, what: what, needs: []string{partFolder}, fleet: func(_ context.Context, e *exam, p *patient) verdict {
		v := e.opened(p.faults[part], part)
		if part == partDefinition && v.State == stateFail {
			v.Mend = "edit what it names in " + folderPath(e.dir, fleetsDir+"/"+string(p.name)) +
				"; drumbeat config validate --data " + e.dir + " checks it"
		}
		return v
	}}
}

// opened judges how a part opened.
func (e *exam) opened(err error, part string) verdict {
	switch {
	case err == nil:
		return good("open")
	case errors.Is(err, errPart):
		return skipped("%s", err)
	case part == partLake && !errors.Is(err, drumbeat.ErrNewer):
		return found("%s", err).bad("use the fleet files and the Drumbeat that made these tables, or restore %s from a backup", folderPath(e.dir, objectDir))
	case part == partTopics || part == partBroker:
		return found("%s", err).bad("restore %s and objects together from a backup", folderPath(e.dir, brokerDir))
	}
	return e.unreadable(err)
}

// accessChecks look at who may do what, and the record of who did what.
func accessChecks() []check {
	return []check{
		{name: "acts", what: "the chain of the record of acts", needs: []string{partFolder, partAccess}, site: checkActs},
		{name: "tokens", what: "tokens that end within a week", needs: []string{partFolder, partAccess}, site: checkTokens},
	}
}

func checkActs(ctx context.Context, e *exam) verdict {
	head, err := e.site.access.Verify(ctx)
	if err != nil {
		return found("%s", err).bad("find out who changed %s; restore it from a backup, and keep its head elsewhere from now on",
			folderPath(e.dir, "access.sqlite"))
	}
	return good("%d acts, unbroken to %.20s…", head.Seq, head)
}

// soon is how long before its end a token is told of. Tokens that live no
// longer are made anew by whoever made them.
const soon = 7 * 24 * time.Hour

func checkTokens(_ context.Context, e *exam) verdict {
	tokens := e.site.access.Tokens()
	var ending []string
	var first *access.Token
	for i := range tokens {
		t := &tokens[i]
		if t.ExpiresAt.Sub(t.CreatedAt) > soon && t.ExpiresAt.Sub(e.now()) <= soon {
			ending = append(ending, t.Name+" ("+t.Role.String()+", "+t.ExpiresAt.UTC().Format(time.DateOnly)+")")
			if first == nil {
				first = t
			}
		}
	}
	if len(ending) > 0 {
		return found("%d of %d tokens end within a week: %s", len(ending), len(tokens), some(ending)).
			but("make new ones: drumbeat token --data %s --name %q --role %s", e.dir, first.Name, first.Role)
	}
	return good("%d alive, none ends within a week", len(tokens))
}
