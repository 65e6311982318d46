// Package wfformat turns recorded scientific workflows into muster requests.
//
// WfFormat is the JSON in which the WfCommons project (https://wfcommons.org) publishes traces of workflows that ran on
// real clusters: a DAG of tasks under workflow.specification.tasks, and how long each ran under
// workflow.execution.tasks. Each task becomes one job that sleeps for its recorded run time, scaled; its parents become
// the job's needs. So a real DAG's shape and proportions run in seconds, without its programs or its data.
package wfformat
