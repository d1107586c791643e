# Required ahead of Minitest's tests: writes the result of each to the file that SUITE_RESULTS names.
require "minitest"

class SuiteResults < Minitest::AbstractReporter
  def initialize(file)
    super()
    @file = File.open(file, "w")
    @file.sync = true
  end

  def record(result)
    outcome = result.skipped? ? "skip" : result.passed? ? "pass" : "fail"
    @file.puts "#{result.klass}##{result.name}".gsub(/\s+/, "_") + " #{outcome}"
  end
end

module Minitest
  def self.plugin_suite_results_init(_options)
    reporter << SuiteResults.new(ENV.fetch("SUITE_RESULTS"))
  end

  extensions << "suite_results"
end
